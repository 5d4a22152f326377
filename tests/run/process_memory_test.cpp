// MemoryPeaks parses /proc/PID/status and keeps the maximum of each figure.
#include "run/process_memory.hpp"

#include <gtest/gtest.h>

#include <sys/mman.h>

#include <cstring>

namespace faultline::run {
namespace {

TEST(MemoryPeaks, PeaksAreTheMaximumOfAllSamples) {
    MemoryPeaks peaks;
    raise_peaks(
        peaks,
        "Name:\tx\nVmHWM:\t  100 kB\nVmRSS:\t   90 kB\nRssAnon:\t   40 kB\nRssFile:\t   30 kB\nRssShmem:\t   2 kB\n");
    EXPECT_EQ(peaks, (MemoryPeaks{.resident = 100 << 10, .anonymous = 42 << 10, .file = 30 << 10}));
    raise_peaks(peaks, "Name:\tx\nVmHWM:\t  101 kB\nRssAnon:\t 1 kB\nRssFile:\t   31 kB\nRssShmem:\t   0 kB\n");
    EXPECT_EQ(peaks, (MemoryPeaks{.resident = 101 << 10, .anonymous = 42 << 10, .file = 31 << 10}));
    raise_peaks(peaks, "");
    EXPECT_EQ(peaks.resident, 101U << 10);
}

TEST(MemoryPeaks, PeaksOfThisProcessGrowWithItsMemory) {
    constexpr std::size_t kBytes = std::size_t{32} << 20;
    MemoryPeaks before;
    raise_peaks(before);
    if (before.resident == 0) GTEST_SKIP() << "/proc is not mounted";
    void* const memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    std::memset(memory, 1, kBytes);
    MemoryPeaks after = before;
    raise_peaks(after);
    ::munmap(memory, kBytes);
    // The kernel counts per CPU and updates the sums with a delay.
    EXPECT_GE(after.anonymous + (std::size_t{4} << 20), before.anonymous + kBytes);
    EXPECT_GE(after.resident, after.anonymous);
}

}  // namespace
}  // namespace faultline::run
