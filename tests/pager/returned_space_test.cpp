// Space of freed pages in the swap file: the freeing thread makes no system call for it, the space is returned all the
// same, and no page that is written at the same time is lost.

#include "pager_fixture.hpp"
#include "support/child.hpp"
#include "support/small_disk.hpp"
#include "swap_folder.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace faultline::test {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kPagesOfMiB = kMiB / kBasePageBytes;
constexpr int kNoFilters = 3;
constexpr int kWrongBytes = 4;

class ReturnedSpace : public VariantTest {
protected:
    [[nodiscard]] Config config() const {
        Config config = config_for(GetParam(), kMiB);
        config.swap_directory = folder_.path();
        config.background_evictor = true;
        config.compressed_limit = 0;
        return config;
    }

    SwapFolder folder_;
};

std::byte* page_of(Region& region, std::uint64_t page) { return region.data() + page * kBasePageBytes; }

void fill_and_evict(Region& region) {
    for (std::uint64_t page = 0; page < region.size() / kBasePageBytes; ++page) {
        write_stamps(page_of(region, page), kBasePageBytes, stamp(page));
    }
    region.advise(region.data(), region.size(), Advice::dontneed);
}

/// The open swap file in the folder. It has no name any more.
int swap_file_in(const SwapFolder& folder) {
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
        std::error_code gone;
        const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
        if (!gone && target.rfind(folder.path().string() + "/", 0) == 0) return std::stoi(entry.path().filename());
    }
    return -1;
}

/// After this, a call of fallocate for `file` by the calling thread ends the process with SIGSYS.
bool end_at_fallocate_of(int file) {
    std::array<sock_filter, 6> rules{{
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, SYS_fallocate},
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, args)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<std::uint32_t>(file)},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    }};
    const sock_fprog program{rules.size(), rules.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

TEST_P(ReturnedSpace, ComesBackWithoutPunchingByTheThreadThatFreesScatteredPages) {
    const ChildEnd end = in_child([this] {
        Pager pager{config()};
        Region region = pager.reserve(16 * kMiB);
        fill_and_evict(region);
        const std::size_t full = folder_.bytes_on_disk();
        if (full < 15 * kMiB) return kWrongBytes;
        if (!end_at_fallocate_of(swap_file_in(folder_))) return kNoFilters;
        for (std::uint64_t offset = 0; offset < 16; ++offset) {
            for (std::uint64_t page = offset; page < 16 * kPagesOfMiB; page += 16) {
                if (page != 5) region.discard(page_of(region, page), kBasePageBytes);
            }
        }
        // What stays: the 2 MiB around the page that is left, and the 2 MiB whose slots are being allotted.
        while (folder_.bytes_on_disk() > 4 * kMiB + kMiB / 2) std::this_thread::yield();
        const int result = has_stamps(page_of(region, 5), kBasePageBytes, stamp(5)) ? 0 : kWrongBytes;
        std::_Exit(result);  // destroying the region may make the call
        return result;
    });
    if (end.exited_with(kNoFilters)) GTEST_SKIP() << "no seccomp filters here";
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_P(ReturnedSpace, ComesBackInLargePiecesWithoutABackgroundThread) {
    const Watchdog watchdog;
    Config alone = config();
    alone.background_evictor = false;
    Pager pager{alone};
    Region region = pager.reserve(12 * kMiB);
    fill_and_evict(region);
    const std::size_t full = folder_.bytes_on_disk();
    for (std::uint64_t page = 1; page < 8 * kPagesOfMiB; page += 2) {
        region.discard(page_of(region, page), kBasePageBytes);
    }
    EXPECT_EQ(folder_.bytes_on_disk(), full) << "scattered pages are not punched one by one";
    for (std::uint64_t page = 0; page < 8 * kPagesOfMiB; page += 2) {
        region.discard(page_of(region, page), kBasePageBytes);
    }
    EXPECT_LE(folder_.bytes_on_disk(), full - 4 * kMiB);
    for (std::uint64_t page = 8 * kPagesOfMiB; page < 12 * kPagesOfMiB; ++page) {
        ASSERT_TRUE(has_stamps(page_of(region, page), kBasePageBytes, stamp(page))) << page;
    }
}

/// Each thread writes, reads and frees pages of its own, in runs that sometimes leave whole MiBs free.
TEST_P(ReturnedSpace, LosesNoPageThatIsWrittenWhileOthersAreFreed) {
    const Watchdog watchdog;
    constexpr unsigned kThreads = 3;
    constexpr std::uint64_t kPages = 6 * kPagesOfMiB;
    Pager pager{config()};
    Region region = pager.reserve(kPages * kBasePageBytes);
    std::atomic<std::uint64_t> wrong{0};
    run_threads(kThreads, [&](unsigned thread) {
        std::mt19937_64 random{thread + 1};
        std::vector<std::uint64_t> versions(kPages);  // 0: freed
        for (std::uint64_t step = 1; step <= (kSanitized ? 60U : 300U); ++step) {
            const std::uint64_t run = random() % 2 == 0 ? kPagesOfMiB : 16;
            const std::uint64_t first = random() % (kPages / run) * run;
            const bool frees = random() % 2 == 0;
            for (std::uint64_t page = first + (thread + kThreads - first % kThreads) % kThreads; page < first + run;
                 page += kThreads) {
                std::byte* const at = page_of(region, page);
                const std::uint64_t before = versions[page];
                const std::uint64_t expected = before == 0 ? 0 : stamp(page, before);
                if (load_word(at) != expected) wrong.fetch_add(1);
                versions[page] = frees ? 0 : step;
                frees ? region.discard(at, kBasePageBytes) : write_stamps(at, kBasePageBytes, stamp(page, step));
            }
        }
        for (std::uint64_t page = thread; page < kPages; page += kThreads) {
            const std::uint64_t version = versions[page];
            if (load_word(page_of(region, page)) != (version == 0 ? 0 : stamp(page, version))) wrong.fetch_add(1);
        }
    });
    EXPECT_EQ(wrong.load(), 0U);
}

/// Writes three MiB of a disk of four, and frees every other page of them. Then two MiB are needed for other pages.
TEST_P(ReturnedSpace, IsAvailableToPagesThatNeedItOnAFullDisk) {
    const Watchdog watchdog;
    const SmallDisk disk{folder_.path(), 4};
    if (!disk.mounted()) GTEST_SKIP() << "cannot mount a small file system: " << std::strerror(errno);
    Pager pager{config()};
    Region region = pager.reserve(8 * kMiB);
    const auto write_and_evict = [&](std::uint64_t first, std::uint64_t end) {
        for (std::uint64_t page = first; page < end; ++page) {
            write_stamps(page_of(region, page), kBasePageBytes, stamp(page));
        }
        region.advise(page_of(region, first), (end - first) * kBasePageBytes, Advice::dontneed);
    };
    write_and_evict(0, 3 * kPagesOfMiB);
    for (std::uint64_t page = 1; page < 3 * kPagesOfMiB; page += 2) {
        region.discard(page_of(region, page), kBasePageBytes);
    }
    write_and_evict(4 * kPagesOfMiB, 6 * kPagesOfMiB);
    EXPECT_EQ(pager.stats().write_errors, 0U);
    for (std::uint64_t page = 0; page < 6 * kPagesOfMiB; page += page < 4 * kPagesOfMiB ? 2 : 1) {
        if (page >= 3 * kPagesOfMiB && page < 4 * kPagesOfMiB) continue;
        ASSERT_TRUE(has_stamps(page_of(region, page), kBasePageBytes, stamp(page))) << page;
    }
}

INSTANTIATE_TEST_SUITE_P(matrix, ReturnedSpace, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
