// Seccomp filters that a program installs on its thread after it has made the pager: the calls that
// docs/signal-safety.md names are enough for faults.
#include "failure/failure_support.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace faultline::test {
namespace {

constexpr std::size_t kTouchedPages = 64;

// The calls that docs/signal-safety.md names, and two for the test itself: write and exit_group.
constexpr std::array<long, 10> kNeeded{SYS_futex,   SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_madvise, SYS_mprotect,
                                       SYS_pread64, SYS_pwrite64,       SYS_fallocate,    SYS_write,   SYS_exit_group};

/// Installs a filter on the calling thread: all calls but those in `allowed` fail with `error` until the thread ends.
bool forbid_other_calls(std::span<const long> allowed, int error) {
    std::vector<sock_filter> rules{{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)}};
    for (const long number : allowed) {
        rules.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<std::uint32_t>(number)});
        rules.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
    }
    rules.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)});
    const sock_fprog program{static_cast<unsigned short>(rules.size()), rules.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

unsigned char byte_of(std::size_t page, std::size_t round) { return static_cast<unsigned char>(page * 3 + round + 1); }

bool pages_in_and_out(unsigned char* bytes) {
    for (std::size_t round = 0; round < 3; ++round) {
        for (std::size_t i = 0; i < kTouchedPages; ++i) bytes[i * kBasePageBytes] = byte_of(i, round);
        for (std::size_t i = 0; i < kTouchedPages; ++i) {
            const std::size_t page = i * 37 % kTouchedPages;
            if (bytes[page * kBasePageBytes] != byte_of(page, round)) return false;
        }
    }
    return true;
}

/// Evicts and fills pages behind a filter and ends the process: destroying the pager would need calls that the filter
/// forbids.
[[noreturn]] void page_behind_filter(const Config& config, int error) {
    Pager pager{config};
    Region region = pager.reserve(kTouchedPages * kBasePageBytes);
    auto* const bytes = reinterpret_cast<unsigned char*>(region.data());
    if (!pages_in_and_out(bytes)) ::_exit(1);
    if (!forbid_other_calls(kNeeded, error)) ::_exit(kNoFilters);
    ::_exit(pages_in_and_out(bytes) ? 0 : 2);
}

struct FilteredPager {
    Delivery delivery;
    bool background_evictor;
};

class Filters : public testing::TestWithParam<FilteredPager> {};

TEST_P(Filters, DocumentedCallsAreEnoughForFaultsAndEviction) {
    if (const std::string why = why_not_here(GetParam().delivery); !why.empty()) GTEST_SKIP() << why;
    for (const int error : {ENOSYS, EPERM}) {
        Config config = small_config(GetParam().delivery);
        config.background_evictor = GetParam().background_evictor;
        const ChildEnd end = in_child([&]() -> int { page_behind_filter(config, error); });
        if (end.exited_with(kNoFilters)) GTEST_SKIP() << "the kernel refuses seccomp filters";
        EXPECT_TRUE(end.exited_with(0)) << end;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Deliveries, Filters,
    testing::Values(FilteredPager{Delivery::uffd_threads, true}, FilteredPager{Delivery::uffd_threads, false},
                    FilteredPager{Delivery::uffd_signal, true}, FilteredPager{Delivery::uffd_signal, false},
                    FilteredPager{Delivery::sigsegv, true}, FilteredPager{Delivery::sigsegv, false}),
    [](const auto& variant) {
        return std::string{to_string(variant.param.delivery)} +
               (variant.param.background_evictor ? "_evictor" : "_alone");
    });

}  // namespace
}  // namespace faultline::test
