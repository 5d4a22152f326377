// A program installs a seccomp filter after it has made the pager. A fault that needs a call which the filter forbids
// ends the process with a message. It never hangs and never maps zeros.

#include "failure/failure_support.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <vector>

namespace faultline::test {
namespace {

/// Installs a filter on the calling thread: all calls but those in `allowed` fail with ENOSYS until the thread ends.
bool allow_only(const std::vector<int>& allowed) {
    std::vector<sock_filter> rules{{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)}};
    for (const int call : allowed) {
        rules.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, static_cast<std::uint32_t>(call)});
        rules.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
    }
    rules.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS});
    sock_fprog program{static_cast<unsigned short>(rules.size()), rules.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

class RefusedCalls : public testing::TestWithParam<Delivery> {
protected:
    /// In a child: writes to an absent page behind a filter that permits only the calls in `allowed`.
    [[nodiscard]] static ChildEnd touch_with_only(const std::vector<int>& allowed) {
        return in_child([&] {
            Config config = small_config(GetParam());
            config.background_evictor = false;
            Pager pager{config};
            Region region = pager.reserve(64 * kBasePageBytes);
            if (!allow_only(allowed)) return kNoFilters;
            region.data()[0] = std::byte{1};
            return 1;
        });
    }
};

TEST_P(RefusedCalls, FaultThatCannotBeResolvedEndsTheProcessWithAMessage) {
    if (const std::string why = why_not_here(GetParam()); !why.empty()) GTEST_SKIP() << why;
    const ChildEnd end = touch_with_only({SYS_write, SYS_exit_group});
    if (end.exited_with(kNoFilters)) GTEST_SKIP() << "the kernel refuses seccomp filters";
    EXPECT_TRUE(end.exited_with(128 + SIGABRT)) << end;
    EXPECT_NE(end.said.find("faultline: "), std::string::npos) << end;
}

TEST_P(RefusedCalls, FaultThatCannotBeResolvedEndsTheProcessWithoutAnyCall) {
    if (const std::string why = why_not_here(GetParam()); !why.empty()) GTEST_SKIP() << why;
    const ChildEnd end = touch_with_only({});
    if (end.exited_with(kNoFilters)) GTEST_SKIP() << "the kernel refuses seccomp filters";
    EXPECT_TRUE(end.killed_by(SIGILL)) << end;
}

INSTANTIATE_TEST_SUITE_P(BySignal, RefusedCalls, testing::Values(Delivery::uffd_signal, Delivery::sigsegv),
                         [](const auto& delivery) { return std::string{name(delivery.param)}; });

}  // namespace
}  // namespace faultline::test
