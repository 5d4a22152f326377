// The two write queues differ in speed only: same bytes, same errors.
#include "store/write_queue.hpp"

#include "core/units.hpp"
#include "store/sizes.hpp"
#include "store/swap_directories.hpp"
#include "store/swap_file.hpp"
#include "support/small_disk.hpp"
#include "sys/mapping.hpp"

#include <gtest/gtest.h>

#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace faultline::test {
namespace {

using store::FileWrite;
using store::Pace;
using store::RingWriteQueue;
using store::SequentialWriteQueue;
using store::SwapFile;
using store::WriteQueue;

constexpr int kUntouched = -77;

/// One write for each page of `from`, in order from `offset` of the file on.
class PageWrites {
public:
    PageWrites(const SwapFile& file, std::uint64_t offset, const sys::Mapping& from) {
        for (std::size_t at = 0; at < from.size(); at += kPage) parts_.push_back({from.data() + at, kPage});
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            writes_.push_back({&file, offset + i * kPage, {&parts_[i], 1}, kUntouched});
        }
    }
    [[nodiscard]] std::span<FileWrite> all() { return writes_; }
    void expect_errors(int error) const {
        for (const FileWrite& write : writes_) EXPECT_EQ(write.error, error) << "at " << write.offset;
    }

private:
    std::vector<iovec> parts_;
    std::vector<FileWrite> writes_;
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

    SwapFile file_of(std::uint64_t pages) {
        SwapFile file = SwapFile::unnamed_in(directory_.path());
        file.extend_to(pages * kPage);
        return file;
    }

    static void expect_contents(const SwapFile& file, std::uint64_t offset, const sys::Mapping& expected) {
        const sys::Mapping there = sys::Mapping::reserve(expected.size(), kPage, true, "test pages");
        ASSERT_EQ(file.read(offset, there.bytes()), 0);
        EXPECT_EQ(std::memcmp(there.data(), expected.data(), expected.size()), 0);
    }

    TemporaryDirectory directory_{"/var/tmp"};
    std::unique_ptr<WriteQueue> queue_;
};

TEST_P(AnyWriteQueue, WritesEveryPageToItsPlace) {
    for (std::size_t pages :
         {std::size_t{1}, std::size_t{2}, std::size_t{63}, std::size_t{5 * RingWriteQueue::kDepth + 3}}) {
        const SwapFile file = file_of(200);
        const sys::Mapping bytes = random_pages(pages, pages);
        PageWrites writes{file, 100 * kPage, bytes};
        queue_->write(writes.all());
        writes.expect_errors(0);
        expect_contents(file, 100 * kPage, bytes);
    }
}

TEST_P(AnyWriteQueue, MayChangeItsPaceBetweenBatches) {
    const SwapFile file = file_of(100);
    for (Pace pace : {Pace::calm, Pace::hurried, Pace::calm}) {
        const sys::Mapping bytes = random_pages(100, 20 + static_cast<std::uint64_t>(pace));
        PageWrites writes{file, 0, bytes};
        queue_->set_pace(pace);
        queue_->write(writes.all());
        writes.expect_errors(0);
        expect_contents(file, 0, bytes);
    }
}

TEST_P(AnyWriteQueue, WritesRunsOfManyPartsToSeveralFiles) {
    const SwapFile first = file_of(600);
    const SwapFile second = file_of(600);
    const sys::Mapping bytes = random_pages(300, 2);
    std::vector<iovec> parts;
    for (std::size_t at = 0; at < bytes.size(); at += kPage) parts.push_back({bytes.data() + at, kPage});
    const std::span<const iovec> all{parts};
    std::vector<FileWrite> writes = {{&first, 0, all.first(64), kUntouched},
                                     {&second, 100 * kPage, all, kUntouched},
                                     {&first, 64 * kPage, all.subspan(64), kUntouched}};
    queue_->write(writes);
    for (const FileWrite& write : writes) EXPECT_EQ(write.error, 0) << "at " << write.offset;
    expect_contents(first, 0, bytes);
    expect_contents(second, 100 * kPage, bytes);
}

TEST_P(AnyWriteQueue, NeedsNothingForNothing) {
    queue_->write({});
    const SwapFile file = file_of(1);
    const sys::Mapping bytes = random_pages(1, 3);
    PageWrites writes{file, 0, bytes};
    queue_->write(writes.all());
    writes.expect_errors(0);
}

TEST_P(AnyWriteQueue, GivesEachWriteItsOwnResultAndWorksAgain) {
    const SwapFile file = file_of(8);
    const sys::Mapping bytes = random_pages(8, 5);
    PageWrites writes{file, 0, bytes};
    const iovec nowhere{nullptr, kPage};
    for (const std::size_t page : {1U, 3U}) writes.all()[page].parts = {&nowhere, 1};
    queue_->write(writes.all());
    for (std::size_t page = 0; page < 8; ++page) {
        EXPECT_EQ(writes.all()[page].error, page == 1 || page == 3 ? EFAULT : 0) << "page " << page;
    }
    PageWrites again{file, 0, bytes};
    queue_->write(again.all());
    again.expect_errors(0);
    expect_contents(file, 0, bytes);
}

TEST_P(AnyWriteQueue, FinishesWritesThatTheRingLeavesShort) {
    const SmallDisk disk{directory_.path(), 1};
    if (!disk.mounted()) GTEST_SKIP() << "cannot mount a small file system: " << std::strerror(errno);
    const SwapFile file = file_of(512);
    const sys::Mapping bytes = random_pages(512, 6);
    constexpr std::size_t kRun = 48;  // 1 MiB ends within a run
    std::vector<iovec> parts;
    std::vector<FileWrite> writes;
    for (std::size_t page = 0; page + kRun <= 512; page += kRun) {
        parts.push_back({bytes.data() + page * kPage, kRun * kPage});
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
        writes.push_back({&file, i * kRun * kPage, {&parts[i], 1}, kUntouched});
    }
    queue_->write(writes);
    std::size_t written = 0;
    for (std::size_t i = 0; i < writes.size(); ++i) {
        if (writes[i].error != 0) {
            EXPECT_EQ(writes[i].error, ENOSPC) << "2 MiB do not fit 1 MiB";
            continue;
        }
        ++written;
        const sys::Mapping there = sys::Mapping::reserve(kRun * kPage, kPage, true, "test pages");
        ASSERT_EQ(file.read(writes[i].offset, there.bytes()), 0);
        EXPECT_EQ(std::memcmp(there.data(), parts[i].iov_base, there.size()), 0) << "write " << i;
    }
    EXPECT_GE(written, 2U);
    EXPECT_LE(written, 5U);
}

/// Runs in a child: writes four pages where the file size limit allows two. Exits with 0 if exactly the other two
/// report EFBIG. The child dies if a SIGXFSZ reaches it, and fails if one is left pending.
[[noreturn]] void write_past_the_limit(const std::filesystem::path& directory, bool ring) {
    const std::unique_ptr<WriteQueue> queue =
        ring ? RingWriteQueue::create() : std::make_unique<SequentialWriteQueue>();
    SwapFile file = SwapFile::unnamed_in(directory);
    file.extend_to(4 * kPage);
    const sys::Mapping bytes = sys::Mapping::reserve(4 * kPage, kPage, true, "test pages");
    PageWrites writes{file, 0, bytes};
    const rlimit limit{2 * kPage, 2 * kPage};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) std::_Exit(99);
    queue->write(writes.all());
    for (std::size_t i = 0; i < 4; ++i) {
        if (writes.all()[i].error != (i < 2 ? 0 : EFBIG)) std::_Exit(static_cast<int>(i) + 1);
    }
    sigset_t mask;
    sigset_t pending;
    if (::sigprocmask(SIG_SETMASK, nullptr, &mask) != 0 || ::sigpending(&pending) != 0) std::_Exit(98);
    std::_Exit(sigismember(&mask, SIGXFSZ) == 0 && sigismember(&pending, SIGXFSZ) == 0 ? 0 : 97);
}

TEST_P(AnyWriteQueue, ReportsWritesPastTheFileSizeLimitWithoutASignal) {
    const bool ring = std::string{GetParam()} != "Sequential";
    EXPECT_EXIT(write_past_the_limit(directory_.path(), ring), testing::ExitedWithCode(0), "");
}

INSTANTIATE_TEST_SUITE_P(Queues, AnyWriteQueue, testing::Values("Sequential", "Ring", "CalmRing"),
                         [](const auto& instance) { return std::string{instance.param}; });

}  // namespace
}  // namespace faultline::test
