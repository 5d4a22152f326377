// The two write queues differ in speed only: same bytes, same errors.
#include "store/write_queue.hpp"

#include "core/units.hpp"
#include "store/file_store.hpp"
#include "store/scripted_file.hpp"
#include "store/sizes.hpp"
#include "store/swap_directories.hpp"
#include "store/swap_file.hpp"
#include "sys/mapping.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace faultline::test {
namespace {

using store::BackingStore;
using store::FileExtent;
using store::FileStore;
using store::Pace;
using store::RingWriteQueue;
using store::SequentialWriteQueue;
using store::StoreWrite;
using store::SwapFile;
using store::WriteQueue;

constexpr int kUntouched = -77;

/// A store that does its own transfers but returns an extent in a file that the ring cannot use.
class MisleadingStore final : public BackingStore {
public:
    MisleadingStore(FileExtent shown, int answer) : shown_{shown}, answer_{answer} {}

    int read(std::uint64_t, std::span<std::byte>) noexcept override { return ENOSYS; }
    int write(std::uint64_t, std::span<const std::byte>) noexcept override {
        ++writes;
        return answer_;
    }
    void discard(std::uint64_t, std::uint64_t) noexcept override {}
    [[nodiscard]] FileExtent extent() const noexcept override { return shown_; }

    int writes = 0;

private:
    FileExtent shown_;
    int answer_;
};

class AnyWriteQueue : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        if (std::string{GetParam()} == "Sequential") {
            queue_ = std::make_unique<SequentialWriteQueue>();
        } else {
            queue_ = RingWriteQueue::create();
            if (queue_ == nullptr) GTEST_SKIP() << "no io_uring here";
            queue_->set_pace(std::string{GetParam()} == "CalmRing" ? Pace::calm : Pace::hurried);
        }
        ASSERT_FALSE(directory_.path().empty());
    }

    /// Random bytes for `pages` pages.
    static sys::Mapping random_pages(std::size_t pages, std::uint64_t seed) {
        RecordProperty("seed", std::to_string(seed));
        std::mt19937_64 random{seed};
        sys::Mapping mapping = sys::Mapping::reserve(pages * kPage, kPage, true, "test pages");
        for (std::size_t at = 0; at < mapping.size(); at += sizeof(std::uint64_t)) {
            const std::uint64_t word = random();
            std::memcpy(mapping.data() + at, &word, sizeof word);
        }
        return mapping;
    }

    /// Returns one write for each page of `from`, to the same offset in `store`.
    static std::vector<StoreWrite> page_by_page(BackingStore& store, const sys::Mapping& from) {
        std::vector<StoreWrite> writes;
        for (std::size_t at = 0; at < from.size(); at += kPage) {
            writes.push_back({&store, at, from.bytes().subspan(at, kPage), kUntouched});
        }
        return writes;
    }

    static void expect_contents(BackingStore& store, const sys::Mapping& expected) {
        const sys::Mapping there = sys::Mapping::reserve(expected.size(), kPage, true, "test pages");
        ASSERT_EQ(store.read(0, there.bytes()), 0);
        EXPECT_EQ(std::memcmp(there.data(), expected.data(), expected.size()), 0);
    }

    static void expect_errors(const std::vector<StoreWrite>& writes, int error) {
        for (const StoreWrite& write : writes) EXPECT_EQ(write.error, error) << "at " << write.offset;
    }

    TemporaryDirectory directory_{"/var/tmp"};
    std::unique_ptr<WriteQueue> queue_;
};

TEST_P(AnyWriteQueue, WritesEveryRunToItsPlace) {
    for (std::size_t pages : {std::size_t{1}, std::size_t{2}, std::size_t{63}, std::size_t{64}}) {
        SwapFile file = SwapFile::unnamed_in(directory_.path());
        file.extend_to(1000 * kPage);
        FileStore store{file, 100 * kPage};
        const sys::Mapping bytes = random_pages(pages, pages);
        std::vector<StoreWrite> writes = page_by_page(store, bytes);
        queue_->write(writes);
        expect_errors(writes, 0);
        expect_contents(store, bytes);
    }
}

TEST_P(AnyWriteQueue, WritesMoreThanTheRingHolds) {
    SwapFile file = SwapFile::unnamed_in(directory_.path());
    constexpr std::size_t kPages = 5 * RingWriteQueue::kDepth + 3;
    file.extend_to(kPages * kPage);
    FileStore store{file, 0};
    const sys::Mapping bytes = random_pages(kPages, 1);
    std::vector<StoreWrite> writes = page_by_page(store, bytes);
    queue_->write(writes);
    expect_errors(writes, 0);
    expect_contents(store, bytes);
}

TEST_P(AnyWriteQueue, MayChangeItsPaceBetweenBatches) {
    SwapFile file = SwapFile::unnamed_in(directory_.path());
    file.extend_to(100 * kPage);
    FileStore store{file, 0};
    for (Pace pace : {Pace::calm, Pace::hurried, Pace::calm}) {
        const sys::Mapping bytes = random_pages(100, 20 + static_cast<std::uint64_t>(pace));
        std::vector<StoreWrite> writes = page_by_page(store, bytes);
        queue_->set_pace(pace);
        queue_->write(writes);
        expect_errors(writes, 0);
        expect_contents(store, bytes);
    }
}

TEST_P(AnyWriteQueue, WritesRunsOfManyPagesToSeveralStores) {
    SwapFile file = SwapFile::unnamed_in(directory_.path());
    file.extend_to(1000 * kPage);
    FileStore first{file, 0};
    FileStore second{file, 500 * kPage};
    const sys::Mapping bytes = random_pages(300, 2);
    std::vector<StoreWrite> writes = {{&first, 0, bytes.bytes().first(100 * kPage), kUntouched},
                                      {&second, 0, bytes.bytes(), kUntouched},
                                      {&first, 100 * kPage, bytes.bytes().subspan(100 * kPage), kUntouched}};
    queue_->write(writes);
    expect_errors(writes, 0);
    expect_contents(first, bytes);
    expect_contents(second, bytes);
}

TEST_P(AnyWriteQueue, NeedsNothingForNothing) {
    queue_->write({});
    SwapFile file = SwapFile::unnamed_in(directory_.path());
    file.extend_to(kPage);
    FileStore store{file, 0};
    const sys::Mapping bytes = random_pages(1, 3);
    std::vector<StoreWrite> writes = page_by_page(store, bytes);
    queue_->write(writes);
    expect_errors(writes, 0);
}

TEST_P(AnyWriteQueue, WritesThroughAStoreThatHasNoDescriptor) {
    ScriptedFile file{64 * kPage};
    FileStore store{file, 0};
    const sys::Mapping bytes = random_pages(64, 4);
    std::vector<StoreWrite> writes = page_by_page(store, bytes);
    queue_->write(writes);
    expect_errors(writes, 0);
    EXPECT_EQ(std::memcmp(file.contents.data(), bytes.data(), bytes.size()), 0);
}

TEST_P(AnyWriteQueue, GivesEachWriteItsOwnResult) {
    ScriptedFile full{kPage};
    full.follow({}, -ENOSPC);
    FileStore refusing{full, 0};
    SwapFile file = SwapFile::unnamed_in(directory_.path());
    file.extend_to(4 * kPage);
    FileStore taking{file, 0};
    const sys::Mapping bytes = random_pages(4, 5);
    std::vector<StoreWrite> writes = page_by_page(taking, bytes);
    writes[1].store = &refusing;
    writes[3].store = &refusing;
    queue_->write(writes);
    EXPECT_EQ(writes[0].error, 0);
    EXPECT_EQ(writes[1].error, ENOSPC);
    EXPECT_EQ(writes[2].error, 0);
    EXPECT_EQ(writes[3].error, ENOSPC);
}

TEST_P(AnyWriteQueue, ReportsAFileThatCannotBeWrittenTo) {
    const sys::FileDescriptor read_only{::open(directory_.path().c_str(), O_RDONLY | O_DIRECTORY)};
    ASSERT_TRUE(read_only);
    MisleadingStore store{{read_only.get(), 0}, EROFS};
    const sys::Mapping bytes = random_pages(8, 6);
    std::vector<StoreWrite> writes = page_by_page(store, bytes);
    queue_->write(writes);
    expect_errors(writes, EROFS);
    EXPECT_EQ(store.writes, 8);
}

TEST_P(AnyWriteQueue, LetsTheStoreDecideWhereTheFileFails) {
    const sys::FileDescriptor read_only{::open(directory_.path().c_str(), O_RDONLY | O_DIRECTORY)};
    MisleadingStore store{{read_only.get(), 0}, 0};
    const sys::Mapping bytes = random_pages(8, 7);
    std::vector<StoreWrite> writes = page_by_page(store, bytes);
    queue_->write(writes);
    expect_errors(writes, 0);
}

TEST_P(AnyWriteQueue, WorksAgainAfterFailures) {
    MisleadingStore closed{{1 << 20, 0}, EBADF};
    const sys::Mapping bytes = random_pages(100, 8);
    std::vector<StoreWrite> failing = page_by_page(closed, bytes);
    queue_->write(failing);
    expect_errors(failing, EBADF);

    SwapFile file = SwapFile::unnamed_in(directory_.path());
    file.extend_to(bytes.size());
    FileStore store{file, 0};
    std::vector<StoreWrite> writes = page_by_page(store, bytes);
    queue_->write(writes);
    expect_errors(writes, 0);
    expect_contents(store, bytes);
}

/// Runs in a child: writes four pages where the file size limit allows two. Exits with 0 if exactly the other two
/// report EFBIG.
[[noreturn]] void write_past_the_limit(const std::filesystem::path& directory, bool ring) {
    const std::unique_ptr<WriteQueue> queue =
        ring ? RingWriteQueue::create() : std::make_unique<SequentialWriteQueue>();
    SwapFile file = SwapFile::unnamed_in(directory);
    file.extend_to(4 * kPage);
    FileStore store{file, 0};
    const sys::Mapping bytes = sys::Mapping::reserve(4 * kPage, kPage, true, "test pages");
    std::vector<StoreWrite> writes;
    for (std::size_t at = 0; at < bytes.size(); at += kPage) {
        writes.push_back({&store, at, bytes.bytes().subspan(at, kPage), kUntouched});
    }
    const rlimit limit{2 * kPage, 2 * kPage};
    std::signal(SIGXFSZ, SIG_IGN);
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) std::_Exit(99);
    queue->write(writes);
    for (std::size_t i = 0; i < writes.size(); ++i) {
        if (writes[i].error != (i < 2 ? 0 : EFBIG)) std::_Exit(static_cast<int>(i) + 1);
    }
    std::_Exit(0);
}

TEST_P(AnyWriteQueue, ReportsWritesPastTheFileSizeLimit) {
    const bool ring = std::string{GetParam()} != "Sequential";
    EXPECT_EXIT(write_past_the_limit(directory_.path(), ring), testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(Queues, AnyWriteQueue, testing::Values("Sequential", "Ring", "CalmRing"),
                         [](const auto& instance) { return std::string{instance.param}; });

}  // namespace
}  // namespace faultline::test
