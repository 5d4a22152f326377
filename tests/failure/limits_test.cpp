// Limits of the process (setrlimit) that are too small: a pager works all the same, or its constructor throws a message
// that names the limit and the way out. A constructor that throws leaks nothing.

#include "failure/failure_support.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include <cmath>
#include <csignal>
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

    /// In a child: tries the limits limit_of(0), limit_of(1), ... until a pager works. Expects that the first attempt
    /// is refused, and that each refusal names `way_out` and leaks nothing.
    template <typename LimitOf>
    static void expect_clear_until_enough(int resource, int steps, const std::string& way_out, LimitOf limit_of) {
        const ChildEnd end = in_child([&] {
            for (int life = 0; life < 3; ++life) static_cast<void>(attempt(config()));  // fills the allocator's caches
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
                if (after.mapped > before.mapped + 4) return 4;  // mappings of the allocator and the C library
                if (made.outcome == Outcome::works) return step == 0 ? 5 : 0;
            }
            return 6;
        });
        EXPECT_TRUE(end.exited_with(0)) << end;
    }
};

TEST_P(Limits, PagerWithTooFewDescriptorsWorksOrNamesTheWayOut) {
    const auto used = static_cast<rlim_t>(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    ::close(static_cast<int>(used));
    // The limit grows from the lowest free number of this process. The child uses one descriptor more.
    expect_clear_until_enough(RLIMIT_NOFILE, 64, "ulimit -n",
                              [used](int step) { return used + static_cast<rlim_t>(step); });
}

TEST_P(Limits, PagerWithTooFewAddressesWorksOrNamesTheWayOut) {
    if (kSanitized) GTEST_SKIP() << "sanitizers reserve most of the address space";
    const std::size_t used = status_bytes("VmSize");
    // From 256 KiB above the current use, by a quarter more each time, to more than a pager reserves.
    expect_clear_until_enough(RLIMIT_AS, 100, "ulimit", [used](int step) {
        const double more = std::pow(1.25, step) * 256 * 1024;
        return static_cast<rlim_t>(used + static_cast<std::size_t>(more) / kBasePageBytes * kBasePageBytes);
    });
}

constexpr std::size_t kFewAddresses = std::size_t{1} << 30;

std::size_t machine_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * kBasePageBytes; }

/// The frame table grows with the machine's memory, since the resident limit can be raised to all of it.
TEST_P(Limits, PagersFitIntoAGigabyteOfAddresses) {
    if (kSanitized) GTEST_SKIP() << "sanitizers reserve most of the address space";
    const ChildEnd end = in_child([] {
        const ScopedLimit scarce{RLIMIT_AS, status_bytes("VmSize") + kFewAddresses + machine_bytes() / 128};
        Config larger = config();
        larger.resident_limit = std::size_t{256} << 20;
        return wrong_pages_of_a_life(config()) + wrong_pages_of_a_life(larger) == 0 ? 0 : 1;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_P(Limits, PagerWithTooLittleDataNamesTheWayOut) {
    if (kSanitized) GTEST_SKIP() << "the sanitizer's own mappings count as data";
    const ChildEnd end = in_child([] {
        const ScopedLimit scarce{RLIMIT_DATA, status_bytes("VmData") + (rlim_t{4} << 20)};
        const Attempt made = attempt(config());
        std::cerr << made.said << "\n";
        if (made.outcome != Outcome::refused) return 1;
        return contains(made.said, "ulimit -d unlimited") && !contains(made.said, "ulimit -v") ? 0 : 2;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

/// With vm.overcommit_memory=2 the kernel commits no more memory than it has, and counts writable private mappings as
/// committed. So reserved memory that is not used must not be writable.
TEST_P(Limits, ReservationsAreNotCommittedMemory) {
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

TEST_P(Limits, PagerNeedsNoLockedMemory) {
    const ChildEnd end = in_child([] {
        const ScopedLimit none{RLIMIT_MEMLOCK, 0};
        return wrong_pages_of_a_life(config()) == 0 ? 0 : 1;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_P(Limits, PagerUnderAFileSizeLimitWorksOrNamesTheWayOut) {
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

TEST_P(Limits, LaterFileSizeLimitKeepsResidentPagesAndRaisesAnExplainedSigbus) {
    constexpr std::size_t kLimit = std::size_t{1} << 20;
    const ChildEnd end = in_child([] {
        Config limited = config();
        limited.resident_limit = kLimit;
        Pager pager{limited};
        Region region = pager.reserve(4 * kLimit);
        const rlimit none{0, 0};
        if (::setrlimit(RLIMIT_FSIZE, &none) != 0) return 1;
        auto* const bytes = reinterpret_cast<volatile unsigned char*>(region.data());
        for (std::size_t at = 0; at < kLimit / 2; at += kBasePageBytes)
            bytes[at] = static_cast<unsigned char>(at >> 12 | 1);
        for (std::size_t at = 0; at < kLimit / 2; at += kBasePageBytes) {
            if (bytes[at] != static_cast<unsigned char>(at >> 12 | 1)) return 2;
        }
        for (std::size_t at = 0; at < region.size(); at += kBasePageBytes) bytes[at] = 1;
        return 3;  // unreachable: without a swap file no more than the limit fits
    });
    EXPECT_TRUE(end.killed_by(SIGBUS)) << end;
    EXPECT_THAT(end.said, testing::HasSubstr("ulimit -f"));
    EXPECT_THAT(end.said, testing::HasSubstr("nothing could be evicted"));
}

TEST_P(Limits, PagerWithTooFewThreadsWorksOrNamesTheWayOut) {
    if (::geteuid() == 0) GTEST_SKIP() << "RLIMIT_NPROC does not limit root";
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
