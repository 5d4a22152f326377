// A page that was read is write-protected, and the pager relies on that: a page without writes is evicted without
// writeback. Whatever the program or the kernel does to such a page, a later write must not be lost. Only the kernel's
// page merging (KSM) removes the protection.

#include "traps/trap_support.hpp"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>
#include <tuple>

namespace faultline::test {
namespace {

constexpr std::size_t kPages = 64;
constexpr int kSetMemoryMerge = 67;  // PR_SET_MEMORY_MERGE, Linux 6.4
constexpr int kAdviseCollapse = 25;  // MADV_COLLAPSE, Linux 6.1
constexpr std::uint64_t kSame = 0x5a5a'5a5a'5a5a'5a5aU;

std::uint64_t newer(std::uint64_t page) { return word_of_unit(page); }

std::uint64_t number_in(const std::string& path) {
    std::uint64_t number = 0;
    std::ifstream{path} >> number;
    return number;
}

bool write_to(const std::string& path, const std::string& text) {
    std::ofstream file{path};
    file << text << std::flush;
    return file.good();
}

/// Makes the kernel merge pages as fast as it can while it lives. The settings belong to the machine, so one test at a
/// time uses them; otherwise a test would restore the settings of another test.
class FastMerging {
public:
    FastMerging() : turn_{::open((folder() + "run").c_str(), O_RDONLY | O_CLOEXEC)} {
        static_cast<void>(::flock(turn_, LOCK_EX));
        for (Setting& setting : settings_) {
            setting.before = std::to_string(number_in(setting.path()));
            works_ = write_to(setting.path(), setting.wanted) && works_;
        }
    }
    ~FastMerging() {
        for (const Setting& setting : settings_) write_to(setting.path(), setting.before);
        ::close(turn_);  // closing it releases the lock
    }
    FastMerging(const FastMerging&) = delete;
    FastMerging& operator=(const FastMerging&) = delete;

    [[nodiscard]] bool works() const noexcept { return works_; }

    /// Waits until the kernel has merged pages of this process. Returns false after ten seconds.
    [[nodiscard]] static bool merged() {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{10};
        while (number_in("/proc/self/ksm_merging_pages") < kPages / 2) {
            if (std::chrono::steady_clock::now() > end) return false;
            std::this_thread::yield();
        }
        return true;
    }

    /// Waits until the kernel has scanned all memory several times: everything that can be merged is merged.
    static void scanned() {
        const std::string scans = folder() + "full_scans";
        const std::uint64_t enough = number_in(scans) + 4;
        while (number_in(scans) < enough) std::this_thread::yield();
    }

private:
    static std::string folder() { return "/sys/kernel/mm/ksm/"; }
    struct Setting {
        const char* name;
        const char* wanted;
        std::string before{};
        [[nodiscard]] std::string path() const { return folder() + name; }
    };
    Setting settings_[3] = {{"sleep_millisecs", "1"}, {"pages_to_scan", "20000"}, {"run", "1"}};
    bool works_ = true;
    int turn_;
};

/// A region whose pages are all equal, clean and resident.
class CleanPages {
public:
    explicit CleanPages(Pager& pager) : region_{pager.reserve(kPages * kBasePageBytes)} {
        for (std::size_t at = 0; at < region_.size(); at += sizeof(std::uint64_t)) {
            write_word(region_.data() + at, kSame);
        }
        evict_all(region_);
        for (std::uint64_t page = 0; page < kPages; ++page) static_cast<void>(read_word(begin_of(page)));
    }

    [[nodiscard]] Region& region() noexcept { return region_; }

    void write_each() {
        for (std::uint64_t page = 0; page < kPages; ++page) write_word(begin_of(page), newer(page));
    }
    [[nodiscard]] int lost_writes() const {
        int lost = 0;
        for (std::uint64_t page = 0; page < kPages; ++page) lost += read_word(begin_of(page)) == newer(page) ? 0 : 1;
        return lost;
    }

private:
    [[nodiscard]] std::byte* begin_of(std::uint64_t page) const { return region_.data() + page * kBasePageBytes; }

    Region region_;
};

Config config_of(const Variant& variant) {
    Config config = config_for(variant, 2 * kPages * kBasePageBytes);
    config.fork = ForkPolicy::inherit;
    return config;
}

// ---- KSM

constexpr int kNotMerged = 98;

class Merging : public TrapMatrix {
protected:
    /// Runs `body` in a child process while the kernel merges pages.
    void expect_no_write_lost(const std::function<int(Pager&)>& body) {
        FAULTLINE_SKIP_UNLESS_PERMITTED(config_of(GetParam()));
        if (GetParam().delivery == Delivery::sigsegv) GTEST_SKIP() << "shared memory, which is never merged";
        const FastMerging merging;
        if (!merging.works()) GTEST_SKIP() << "only root may switch the kernel's merging on";
        const ChildEnd end = in_child([&] {
            Pager pager{config_of(GetParam())};
            return body(pager);
        });
        if (end.exited_with(kNotMerged)) GTEST_SKIP() << "the kernel merges nothing";
        EXPECT_TRUE(end.exited_with(0)) << end;
    }
};

bool ask_for_merging() { return ::prctl(kSetMemoryMerge, 1, 0, 0, 0) == 0; }

TEST_P(Merging, LosesNoWriteWhenTheProcessAsksForItLater) {
    expect_no_write_lost([](Pager& pager) {
        CleanPages pages{pager};
        if (!ask_for_merging() || !FastMerging::merged()) return kNotMerged;
        pages.write_each();
        evict_all(pages.region());
        return pages.lost_writes();
    });
}

TEST_P(Merging, LosesNoWriteWhenTheProgramAdvisesIt) {
    expect_no_write_lost([](Pager& pager) {
        CleanPages pages{pager};
        const Region& region = pages.region();
        if (::madvise(region.data(), region.size(), MADV_MERGEABLE) != 0 || !FastMerging::merged()) return kNotMerged;
        pages.write_each();
        evict_all(pages.region());
        return pages.lost_writes();
    });
}

TEST_P(Merging, LosesNoWriteInAChildOfFork) {
    expect_no_write_lost([](Pager& pager) {
        CleanPages pages{pager};
        if (!ask_for_merging() || !FastMerging::merged()) return kNotMerged;
        pages.write_each();
        const pid_t child = ::fork();
        if (child == 0) ::_exit(pages.lost_writes());
        int status = 0;
        if (child < 0 || ::waitpid(child, &status, 0) != child) return kChildThrew;
        return WIFEXITED(status) ? WEXITSTATUS(status) : kChildThrew;
    });
}

TEST_P(Merging, LosesNoWriteUnderPressure) {
    expect_no_write_lost([](Pager& pager) {
        CleanPages pages{pager};
        if (!ask_for_merging() || !FastMerging::merged()) return kNotMerged;
        pages.write_each();
        Region more = pager.reserve(4 * kPages * kBasePageBytes);
        fill_with_units(more);
        return pages.lost_writes() + static_cast<int>(wrong_words(more));
    });
}

TEST_P(Merging, TakesNoPageOfARegionThatWasMadeAfterwards) {
    expect_no_write_lost([](Pager& pager) {
        if (!ask_for_merging()) return kNotMerged;
        CleanPages pages{pager};
        FastMerging::scanned();
        std::ifstream maps{"/proc/self/smaps"};
        const auto begin = reinterpret_cast<std::uintptr_t>(pages.region().data());
        bool here = false;
        for (std::string line; std::getline(maps, line);) {
            unsigned long first = 0;
            unsigned long end = 0;
            if (std::sscanf(line.c_str(), "%lx-%lx ", &first, &end) == 2) here = first <= begin && begin < end;
            if (here && line.starts_with("KSM:") && line.find(" 0 kB") == std::string::npos) return 1;
        }
        return 0;
    });
}

INSTANTIATE_TEST_SUITE_P(Matrix, Merging, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

// ---- Other disturbances

struct Disturbance {
    const char* name;
    void (*on)(const Region& region);
};
void PrintTo(const Disturbance& disturbance, std::ostream* out) { *out << disturbance.name; }

template <int... kAdvice>
void advised(const Region& region) {
    (static_cast<void>(::madvise(region.data(), region.size(), kAdvice)), ...);
}

/// Clears the soft-dirty bits, as checkpointing tools do to detect writes.
void clear_soft_dirty(const Region&) { write_to("/proc/self/clear_refs", "4"); }

void compact_memory(const Region&) { write_to("/proc/sys/vm/compact_memory", "1"); }

void close_and_open(const Region& region) {
    static_cast<void>(::mprotect(region.data(), region.size(), PROT_NONE));
    static_cast<void>(::mprotect(region.data(), region.size(), PROT_READ));
    static_cast<void>(::mprotect(region.data(), region.size(), PROT_READ | PROT_WRITE));
}

void lock_and_unlock(const Region& region) {
    static_cast<void>(::mlock(region.data(), region.size()));
    static_cast<void>(::munlock(region.data(), region.size()));
}

/// A second userfaultfd of the program registers our pages and unregisters them again.
void watch_by_another(const Region& region) {
    constexpr int kUserModeOnly = 1;
    const int fd = static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | kUserModeOnly));
    if (fd < 0) return;
    uffdio_api api{};
    api.api = UFFD_API;
    static_cast<void>(::ioctl(fd, UFFDIO_API, &api));
    uffdio_register request{};
    request.range = {reinterpret_cast<std::uint64_t>(region.data()), region.size()};
    request.mode = UFFDIO_REGISTER_MODE_MISSING;
    static_cast<void>(::ioctl(fd, UFFDIO_REGISTER, &request));
    static_cast<void>(::ioctl(fd, UFFDIO_UNREGISTER, &request.range));
    ::close(fd);
}

/// A child that has the pages makes the kernel share them and copy those that are written to.
void share_with_a_child(const Region& region) {
    static_cast<void>(::madvise(region.data(), region.size(), MADV_DOFORK));
    const auto child = static_cast<pid_t>(::syscall(SYS_fork));
    if (child == 0) ::syscall(SYS_exit_group, 0);
    if (child > 0) ::waitpid(child, nullptr, 0);
}

constexpr Disturbance kDisturbances[] = {
    {"soft_dirty", &clear_soft_dirty},
    {"compaction", &compact_memory},
    {"mprotect", &close_and_open},
    {"mlock", &lock_and_unlock},
    {"pageout", &advised<MADV_COLD, MADV_PAGEOUT>},
    {"free", &advised<MADV_FREE>},
    {"huge_pages", &advised<MADV_HUGEPAGE, kAdviseCollapse, MADV_NOHUGEPAGE, kAdviseCollapse>},
    {"another_userfaultfd", &watch_by_another},
    {"child", &share_with_a_child},
};

using DisturbedCase = std::tuple<Variant, Disturbance>;

class Protection : public testing::TestWithParam<DisturbedCase> {};

TEST_P(Protection, OutlivesWhatElseIsDoneToThePages) {
    const auto& [variant, disturbance] = GetParam();
    if (variant.delivery == Delivery::sigsegv && disturbance.on == &close_and_open) {
        GTEST_SKIP() << "protection is mprotect's there: docs/traps.md, trap 22";
    }
    Config config = config_of(variant);
    config.fork = ForkPolicy::refuse;
    FAULTLINE_SKIP_UNLESS_PERMITTED(config);
    const ChildEnd end = in_child([&] {
        Pager pager{config};
        CleanPages pages{pager};
        std::get<1>(GetParam()).on(pages.region());
        pages.write_each();
        if (const int wrong = pages.lost_writes()) return wrong;  // before anything is evicted
        evict_all(pages.region());
        return pages.lost_writes();
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

struct DisturbedName {
    std::string operator()(const testing::TestParamInfo<DisturbedCase>& info) const {
        return std::string(std::get<1>(info.param).name) + "_" + label(std::get<0>(info.param));
    }
};

INSTANTIATE_TEST_SUITE_P(Matrix, Protection,
                         testing::Combine(testing::ValuesIn(deliveries_and_evictions()),
                                          testing::ValuesIn(kDisturbances)),
                         DisturbedName{});

}  // namespace
}  // namespace faultline::test
