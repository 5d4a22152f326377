// Limits of the process (setrlimit) that are too small: a pager works all the same, or refuses to be made, naming what
// is missing and the way out; and a refusal keeps nothing.

#include "failure/failure_support.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>

namespace faultline::test {
namespace {

class Limits : public testing::TestWithParam<Delivery> {
protected:
    void SetUp() override {
        const std::string reason = why_not_here(GetParam());
        if (!reason.empty()) GTEST_SKIP() << reason;
    }
    static Config config() { return small_config(GetParam()); }

    /// In a child: tries with every limit that `limit_of` names, from nothing to enough, and ends with 0 when each
    /// attempt was clear, kept nothing, and the last one worked.
    template <typename LimitOf>
    static void expect_clear_until_enough(int resource, int steps, const std::string& way_out, LimitOf limit_of) {
        const ChildEnd end = in_child([&] {
            for (int life = 0; life < 3; ++life) static_cast<void>(attempt(config()));  // caches are warm by now
            for (int step = 0; step < steps; ++step) {
                const Belongings before;
                const rlim_t limit = limit_of(step);
                Attempt made;
                {
                    const ScopedLimit scarce{resource, limit};
                    made = attempt(config());
                }
                const Belongings after;
                std::cerr << "step " << step << ", limit " << limit << ": " << made.said << "\n";
                if (made.outcome == Outcome::wrong_contents) return 1;
                if (made.outcome == Outcome::refused && !contains(made.said, way_out)) return 2;
                if (after.descriptors != before.descriptors) return 3;
                if (after.mapped > before.mapped + 4) return 4;  // the allocator's and the C library's own
                if (made.outcome == Outcome::works) return step == 0 ? 5 : 0;
            }
            return 6;
        });
        EXPECT_TRUE(end.exited_with(0)) << end;
    }
};

TEST_P(Limits, TooFewDescriptorsAreNamedWithTheWayOutOrWorkedAround) {
    const auto used = static_cast<rlim_t>(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    ::close(static_cast<int>(used));
    // The lowest free number is the first that the child has left; it has a descriptor more.
    expect_clear_until_enough(RLIMIT_NOFILE, 64, "ulimit -n",
                              [used](int step) { return used + static_cast<rlim_t>(step); });
}

TEST_P(Limits, TooFewAddressesAreNamedWithTheWayOutOrWorkedAround) {
    if (kSanitized) GTEST_SKIP() << "sanitizers take all addresses there are";
    const std::size_t used = status_bytes("VmSize");
    // From 256 KiB more than there is now, by a quarter more each time, to more than a pager reserves.
    expect_clear_until_enough(RLIMIT_AS, 100, "ulimit", [used](int step) {
        const double more = std::pow(1.25, step) * 256 * 1024;
        return static_cast<rlim_t>(used + static_cast<std::size_t>(more) / kBasePageBytes * kBasePageBytes);
    });
}

constexpr std::size_t kFewAddresses = std::size_t{1} << 30;

std::size_t machine_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * kBasePageBytes; }

/// What grows with the machine's memory is the table of frames, since the limit can be raised to all of it.
TEST_P(Limits, PagersLiveInAGigabyteOfAddresses) {
    if (kSanitized) GTEST_SKIP() << "sanitizers take all addresses there are";
    const ChildEnd end = in_child([] {
        const ScopedLimit scarce{RLIMIT_AS, status_bytes("VmSize") + kFewAddresses + machine_bytes() / 128};
        Config larger = config();
        larger.resident_limit = std::size_t{256} << 20;
        return wrong_pages_of_a_life(config()) + wrong_pages_of_a_life(larger) == 0 ? 0 : 1;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

/// Where the kernel promises no more memory than it has (vm.overcommit_memory=2), what is reserved and not used must
/// not count. It would, if it could be written to from the start.
TEST_P(Limits, StagingAreaIsReservedWithoutAPromise) {
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    static_cast<void>(pager);
    std::ifstream maps{"/proc/self/maps"};
    for (std::string line; std::getline(maps, line);) {
        unsigned long begin = 0;
        unsigned long end = 0;
        char access[5] = {};
        if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, access) != 3 || access[1] != 'w') continue;
        EXPECT_LT(end - begin, kFewAddresses + machine_bytes() / 64) << line;
    }
}

TEST_P(Limits, NoLockedMemoryIsNeeded) {
    const ChildEnd end = in_child([] {
        const ScopedLimit none{RLIMIT_MEMLOCK, 0};
        return wrong_pages_of_a_life(config()) == 0 ? 0 : 1;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_P(Limits, FileSizeLimitIsNamedWithTheWayOutOrWorkedAround) {
    for (const rlim_t limit : {rlim_t{0}, rlim_t{kBasePageBytes}, rlim_t{64} << 10, rlim_t{1} << 30}) {
        const ChildEnd end = in_child([limit] {
            static_cast<void>(attempt(config()));
            const Belongings before;
            Attempt made;
            {
                const ScopedLimit small{RLIMIT_FSIZE, limit};
                made = attempt(config());
            }
            const Belongings after;
            std::cerr << "limit " << limit << ": " << made.said << "\n";
            if (made.outcome == Outcome::wrong_contents) return 1;
            if (made.outcome == Outcome::refused && (made.error != EFBIG || !contains(made.said, "ulimit -f")))
                return 2;
            if (after.descriptors != before.descriptors || after.mapped > before.mapped + 4) return 3;
            const bool enough_for_swap = limit >= rlim_t{1} << 30;
            const bool expected = enough_for_swap && GetParam() != Delivery::sigsegv;
            return expected == (made.outcome == Outcome::works) ? 0 : 4;
        });
        EXPECT_TRUE(end.exited_with(0)) << end;
    }
}

TEST_P(Limits, TooFewThreadsAreNamedWithTheWayOutOrWorkedAround) {
    if (::geteuid() == 0) GTEST_SKIP() << "root may have any number of threads";
    const ChildEnd end = in_child([] {
        static_cast<void>(attempt(config()));
        Attempt made;
        {
            const ScopedLimit none{RLIMIT_NPROC, 1};
            made = attempt(config());
        }
        std::cerr << made.said << "\n";
        if (made.outcome == Outcome::wrong_contents) return 1;
        return made.outcome == Outcome::works || contains(made.said, "ulimit -u") ? 0 : 2;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

INSTANTIATE_TEST_SUITE_P(Deliveries, Limits, every_delivery(), DeliveryName{});

}  // namespace
}  // namespace faultline::test
