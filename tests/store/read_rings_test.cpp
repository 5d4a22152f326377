// ReadRings: all reads of a batch arrive, whatever the kernel does with them, in a process and in its child.
// SpinPolicy: threads look for a completion only where that pays.
#include "store/read_rings.hpp"

#include "store/page_contents.hpp"
#include "store/sizes.hpp"
#include "store/swap_directories.hpp"
#include "store/swap_file.hpp"
#include "support/child.hpp"
#include "support/injection.hpp"
#include "support/run_threads.hpp"
#include "sys/mapping.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <vector>

namespace faultline::test {
namespace {

using store::FileEnd;
using store::FileRead;
using store::ReadPlan;
using store::ReadRings;
using store::SpinPolicy;
using store::SwapFile;

// ---- SpinPolicy

using std::chrono::microseconds;

/// How long a read takes for a thread that looks for its completion, and for one that sleeps.
struct Disk {
    microseconds looked;
    microseconds slept;
};
constexpr Disk kFast{microseconds{40}, microseconds{70}};
constexpr Disk kSlow{microseconds{400}, microseconds{430}};
constexpr Disk kLateInterrupts{microseconds{130}, microseconds{90}};

/// One read. Returns whether the policy let the thread look for its completion.
bool looks(SpinPolicy& policy, const Disk& disk, bool loses_cpu = false) {
    const bool looked = policy.begin(1).count() > 0;
    if (looked) policy.end(loses_cpu);
    policy.record(looked ? SpinPolicy::Wait::looked : SpinPolicy::Wait::slept, looked ? disk.looked : disk.slept);
    return looked;
}

/// Returns for how many of 640 reads threads look, after the policy has learned from four times as many.
int looks_of_640(SpinPolicy& policy, const Disk& disk, bool loses_cpu = false) {
    int looked = 0;
    for (int i = 0; i < 2560; ++i) looks(policy, disk, loses_cpu);
    for (int i = 0; i < 640; ++i) looked += looks(policy, disk, loses_cpu) ? 1 : 0;
    return looked;
}

TEST(SpinPolicy, AllReadsOfAFastDiskButOneInSixteenLook) {
    SpinPolicy policy;
    EXPECT_EQ(looks_of_640(policy, kFast), 600);
}

TEST(SpinPolicy, OneReadInSixteenLooksWhereSleepingIsFaster) {
    SpinPolicy policy;
    EXPECT_EQ(looks_of_640(policy, kLateInterrupts), 40);
    EXPECT_EQ(looks_of_640(policy, kFast), 600) << "it does not learn that the machine has changed";
}

TEST(SpinPolicy, LooksLongerThanAReadTakes) {
    SpinPolicy policy;
    for (const microseconds time : {microseconds{20}, microseconds{120}}) {
        for (int i = 0; i < 1001; ++i) looks(policy, {time, time + microseconds{30}});
        const std::chrono::nanoseconds longest = policy.begin(1);
        policy.end(false);
        EXPECT_GT(longest, 2 * time);
        EXPECT_LT(longest, 4 * time);
    }
}

TEST(SpinPolicy, OneSlowReadInTenChangesNothing) {
    SpinPolicy policy;
    looks_of_640(policy, kFast);
    int looked = 0;
    for (int i = 0; i < 640; ++i) looked += looks(policy, i % 10 == 0 ? kSlow : kFast) ? 1 : 0;
    EXPECT_EQ(looked, 600);
}

TEST(SpinPolicy, OneReadInSixtyFourLooksForASlowDisk) {
    SpinPolicy policy;
    EXPECT_EQ(looks_of_640(policy, kSlow), 10);
    EXPECT_EQ(looks_of_640(policy, kFast), 600) << "it does not learn that the disk has become fast";
}

TEST(SpinPolicy, ThreadsThatLoseTheirCpuStopLooking) {
    SpinPolicy policy;
    EXPECT_EQ(looks_of_640(policy, kFast, true), 10);
    EXPECT_EQ(looks_of_640(policy, kFast), 600) << "it does not learn that CPUs are idle again";
}

TEST(SpinPolicy, NoMoreThreadsLookThanThereAreCpus) {
    SpinPolicy policy;
    looks_of_640(policy, kFast);
    EXPECT_GT(policy.begin(2).count(), 0);
    EXPECT_GT(policy.begin(2).count(), 0);
    EXPECT_EQ(policy.begin(2).count(), 0);
    policy.end(false);
    EXPECT_GT(policy.begin(2).count(), 0);
}

// ---- ReadRings

/// A swap file of 256 pages that are all different.
class PagesInAFile {
public:
    static constexpr std::size_t kPages = 256;

    PagesInAFile() {
        file_.extend_to(kPages * kPage);
        for (std::size_t page = 0; page < kPages; ++page) {
            incompressible(page).fill(bytes_.bytes().subspan(page * kPage, kPage));
        }
        const std::array<iovec, 1> part{iovec{bytes_.data(), bytes_.size()}};
        EXPECT_EQ(file_.write(0, part), 0);
    }

    [[nodiscard]] const SwapFile& file() const { return file_; }
    [[nodiscard]] bool is(std::span<const std::byte> bytes, std::size_t page) const {
        return std::memcmp(bytes.data(), &bytes_.bytes()[page * kPage], bytes.size()) == 0;
    }

private:
    SwapFile file_ = SwapFile::unnamed_in(store::default_swap_directory());
    sys::Mapping bytes_ = sys::Mapping::reserve(kPages * kPage, kPage, true, "test pages");
};

/// Reads of single pages, made at once.
class PageReads {
public:
    explicit PageReads(const PagesInAFile& pages) : pages_{pages} {}

    /// Reads random pages, at most as many as a plan has. Returns 0, an errno, or -1 for wrong bytes.
    int read_some(std::mt19937_64& random) {
        const std::size_t count = random() % ReadPlan::kMostReads + 1;
        std::array<FileRead, ReadPlan::kMostReads> reads;
        std::array<std::size_t, ReadPlan::kMostReads> page{};
        for (std::size_t i = 0; i < count; ++i) {
            page[i] = random() % PagesInAFile::kPages;
            reads[i] = {pages_.file().fd(), FileEnd::never, page[i] * kPage, into_.bytes().subspan(i * kPage, kPage)};
        }
        if (const int error = ReadRings::of_process().read({reads.data(), count}, nullptr)) return error;
        for (std::size_t i = 0; i < count; ++i) {
            if (!pages_.is(reads[i].into, page[i])) return -1;
        }
        return 0;
    }

private:
    const PagesInAFile& pages_;
    sys::Mapping into_ = sys::Mapping::reserve(ReadPlan::kMostBytes, kPage, true, "test pages");
};

class ReadRingsTest : public testing::Test {
protected:
    ReadRingsTest() { ReadRings::of_process().open(); }

    PagesInAFile pages_;
};

TEST_F(ReadRingsTest, ManyThreadsReadTheirOwnPages) {
    const std::uint64_t seed = std::random_device{}();
    RecordProperty("seed", std::to_string(seed));
    std::atomic<int> wrong{0};
    run_threads(8, [&](unsigned thread) {
        std::mt19937_64 random{seed + thread};
        PageReads reads{pages_};
        for (int i = 0; i < 300; ++i) wrong += reads.read_some(random) == 0 ? 0 : 1;
    });
    EXPECT_EQ(wrong.load(), 0) << "seed " << seed;
}

/// Counts how often a thread worked during a read, and reads by itself meanwhile, as eviction may.
class ReadingDuringRead final : public store::DuringRead {
public:
    explicit ReadingDuringRead(const PagesInAFile& pages) : reads_{pages} {}

    void work_during_read() noexcept override {
        ++calls;
        wrong += reads_.read_some(random_) == 0 ? 0 : 1;
    }

    int calls = 0;
    int wrong = 0;

private:
    PageReads reads_;
    std::mt19937_64 random_{1};
};

TEST_F(ReadRingsTest, ThreadWorksOnceDuringEachReadThatTheDiskHas) {
    ReadingDuringRead meanwhile{pages_};
    const sys::Mapping into = sys::Mapping::reserve(2 * kPage, kPage, true, "test pages");
    const std::array<FileRead, 2> reads{
        FileRead{pages_.file().fd(), FileEnd::never, 7 * kPage, into.bytes().first(kPage)},
        FileRead{pages_.file().fd(), FileEnd::never, 99 * kPage, into.bytes().subspan(kPage)},
    };
    EXPECT_EQ(ReadRings::of_process().read(reads, &meanwhile), 0);
    EXPECT_EQ(meanwhile.calls, 1);
    EXPECT_EQ(meanwhile.wrong, 0);
    EXPECT_TRUE(pages_.is(reads[0].into, 7) && pages_.is(reads[1].into, 99));
}

TEST_F(ReadRingsTest, NeedsNothingForNothing) { EXPECT_EQ(ReadRings::of_process().read({}, nullptr), 0); }

TEST_F(ReadRingsTest, AReadThatFailsFailsTheBatchAndNoOther) {
    const sys::Mapping into = sys::Mapping::reserve(2 * kPage, kPage, true, "test pages");
    const std::array<FileRead, 2> reads{
        FileRead{pages_.file().fd(), FileEnd::never, 0, into.bytes().first(kPage)},
        FileRead{pages_.file().fd(), FileEnd::never, kPage, {static_cast<std::byte*>(nullptr), kPage}}};
    EXPECT_EQ(ReadRings::of_process().read(reads, nullptr), EFAULT);
    EXPECT_EQ(ReadRings::of_process().read({reads.data(), 1}, nullptr), 0);
    EXPECT_TRUE(pages_.is(into.bytes().first(kPage), 0));
}

TEST_F(ReadRingsTest, ASwapFileThatEndsTooEarlyIsAnError) {
    const sys::Mapping into = sys::Mapping::reserve(2 * kPage, kPage, true, "test pages");
    const FileRead across{pages_.file().fd(), FileEnd::never, (PagesInAFile::kPages - 1) * kPage, into.bytes()};
    EXPECT_EQ(ReadRings::of_process().read({&across, 1}, nullptr), EIO);
    const FileRead beyond{pages_.file().fd(), FileEnd::never, PagesInAFile::kPages * kPage, into.bytes()};
    EXPECT_EQ(ReadRings::of_process().read({&beyond, 1}, nullptr), EIO);
}

TEST_F(ReadRingsTest, AFileOfTheProgramHasZerosAfterItsEndAndNoPageBeyond) {
    const TemporaryDirectory directory{"/var/tmp"};
    const sys::FileDescriptor fd{::open((directory.path() / "file").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)};
    const std::vector<std::byte> contents = incompressible(3).bytes(kPage + 104);
    ASSERT_EQ(::write(fd.get(), contents.data(), contents.size()), static_cast<ssize_t>(contents.size()));
    const sys::Mapping into = sys::Mapping::reserve(3 * kPage, kPage, true, "test pages");
    std::memset(into.data(), 0xee, into.size());
    const FileRead two{fd.get(), FileEnd::in_page, 0, into.bytes().first(2 * kPage)};
    ASSERT_EQ(ReadRings::of_process().read({&two, 1}, nullptr), 0);
    EXPECT_EQ(std::memcmp(into.data(), contents.data(), contents.size()), 0);
    for (std::size_t at = contents.size(); at < 2 * kPage; ++at) ASSERT_EQ(into.bytes()[at], std::byte{0}) << at;
    EXPECT_EQ(into.bytes()[2 * kPage], std::byte{0xee});
    const FileRead three{fd.get(), FileEnd::in_page, 0, into.bytes()};
    EXPECT_EQ(ReadRings::of_process().read({&three, 1}, nullptr), EIO);
}

TEST_F(ReadRingsTest, AChildAndItsParentReadAtTheSameTime) {
    std::mt19937_64 random{1};
    PageReads reads{pages_};
    ASSERT_EQ(reads.read_some(random), 0);
    for (int children = 0; children < 3; ++children) {
        const ChildEnd end = in_child([&] {
            ReadRings::of_process().open();
            for (int i = 0; i < 200; ++i) {
                if (reads.read_some(random) != 0) return 1;
            }
            return 0;
        });
        EXPECT_TRUE(end.exited_with(0)) << end;
        for (int i = 0; i < 200; ++i) ASSERT_EQ(reads.read_some(random), 0);
    }
}

TEST_F(ReadRingsTest, ReadsWhereTheKernelRefusesRings) {
    const auto result = in_child_with({SYS_io_uring_enter, {}, EPERM, 1, 1}, [&]() -> std::function<int()> {
        ReadRings::of_process().open();
        return [&] {
            std::mt19937_64 random{2};
            PageReads reads{pages_};
            for (int i = 0; i < 100; ++i) {
                if (reads.read_some(random) != 0) return 1;
            }
            return 0;
        };
    });
    if (!result) GTEST_SKIP() << "the kernel has no seccomp notifications";
    EXPECT_TRUE(result->end.exited_with(0)) << result->end;
}

}  // namespace
}  // namespace faultline::test
