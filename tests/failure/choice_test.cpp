// Which delivery the pager chooses when the kernel refuses some (a seccomp filter without userfaultfd, as containers
// have), what $FAULTLINE_DELIVERY changes, and that the pager says why.

#include "failure/failure_support.hpp"
#include "mmu/delivery_trial.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <optional>

namespace faultline::test {
namespace {

constexpr unsigned kNewUserfaultfd = 0xAA00;  // USERFAULTFD_IOC_NEW, a request of /dev/userfaultfd

/// Installs a filter: userfaultfd(2) and the request of /dev/userfaultfd fail with `error` until the process ends.
/// Returns false if the kernel refuses the filter.
bool forbid_userfaultfd(int error) {
    const auto load = [](std::size_t offset) {
        return sock_filter{BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(offset)};
    };
    const auto unless = [](std::uint32_t value, std::uint8_t skip) {
        return sock_filter{BPF_JMP | BPF_JEQ | BPF_K, 0, skip, value};
    };
    const sock_filter refuse{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)};
    const sock_filter allow{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    std::array rules{
        load(offsetof(seccomp_data, nr)),      unless(SYS_userfaultfd, 1), refuse, unless(SYS_ioctl, 3),
        load(offsetof(seccomp_data, args[1])), unless(kNewUserfaultfd, 1), refuse, allow,
    };
    sock_fprog program{static_cast<unsigned short>(rules.size()), rules.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

bool try_threads_is_refused_with(const char* reason) {
    return mmu::try_delivery(Delivery::uffd_threads).find(reason) != std::string::npos;
}

class Choice : public testing::Test {
protected:
    Choice() { ::unsetenv("FAULTLINE_DELIVERY"); }

    static std::optional<Delivery> delivery_of(const Config& config) {
        const Pager pager{config};
        return pager.delivery();
    }

    /// Runs `body` in a child that may not use userfaultfd. Expects that it returns 0.
    template <typename Body>
    static void expect_in_filtered_child(int error, Body body) {
        const ChildEnd end = in_child([&] {
            if (!forbid_userfaultfd(error)) return kNoFilters;
            return body();
        });
        if (end.exited_with(kNoFilters)) GTEST_SKIP() << "the kernel refuses seccomp filters";
        EXPECT_TRUE(end.exited_with(0)) << end;
    }
};

TEST_F(Choice, SigsegvIsChosenWithoutUserfaultfdAndTheLogSaysWhy) {
    for (const int error : {EPERM, ENOSYS}) {
        expect_in_filtered_child(error, [] {
            std::string said;
            if (wrong_pages_of_a_life(small_config(Delivery::automatic), &said) != 0) return 1;
            std::cerr << said << "\n";
            if (!contains(said, "delivery sigsegv")) return 2;
            if (!contains(said, "not uffd_threads: ") || !contains(said, "not uffd_signal: ")) return 3;
            return contains(said, "userfaultfd") ? 0 : 4;
        });
    }
}

TEST_F(Choice, ExplicitUserfaultfdDeliveryIsRefusedWithoutUserfaultfd) {
    for (const int error : {EPERM, ENOSYS}) {
        expect_in_filtered_child(error, [error] {
            static_cast<void>(attempt(small_config(Delivery::sigsegv)));
            const Belongings before;
            for (const Delivery delivery : {Delivery::uffd_threads, Delivery::uffd_signal}) {
                const Attempt made = attempt(small_config(delivery));
                std::cerr << made.said << "\n";
                if (made.outcome != Outcome::refused || made.error != error) return 1;
                if (!contains(made.said, "userfaultfd")) return 2;
            }
            const Belongings after;
            return after.descriptors == before.descriptors && after.mapped <= before.mapped + 2 ? 0 : 3;
        });
    }
}

TEST_F(Choice, EvictionByCopyIsRefusedWithoutUserfaultfd) {
    expect_in_filtered_child(EPERM, [] {
        Config config = small_config(Delivery::automatic);
        config.eviction = Eviction::copy;
        const Attempt made = attempt(config);
        std::cerr << made.said << "\n";
        return made.outcome == Outcome::refused && contains(made.said, "cannot evict by copy") ? 0 : 1;
    });
}

TEST_F(Choice, EvictionByProtectionSelectsSigsegv) {
    const ChildEnd end = in_child([] {
        Config config = small_config(Delivery::automatic);
        config.eviction = Eviction::protect;
        return delivery_of(config) == Delivery::sigsegv && wrong_pages_of_a_life(config) == 0 ? 0 : 1;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

/// A tracer that reads an absent page would wait for handler threads that it has stopped.
TEST_F(Choice, ThreadDeliveryIsNotChosenInATracedProcess) {
    const ChildEnd end = in_child([] {
        if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) return 1;
        if (delivery_of(small_config(Delivery::automatic)) == Delivery::uffd_threads) return 2;
        return try_threads_is_refused_with("traces this one") ? 0 : 3;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

// ---- the environment

TEST_F(Choice, EnvironmentSelectsEachDelivery) {
    for (const Delivery delivery : {Delivery::uffd_threads, Delivery::uffd_signal, Delivery::sigsegv}) {
        if (!why_not_here(delivery).empty()) continue;
        const ChildEnd end = in_child([delivery] {
            ::setenv("FAULTLINE_DELIVERY", name(delivery), 1);
            if (delivery_of(small_config(Delivery::automatic)) != delivery) return 1;
            std::string said;
            if (wrong_pages_of_a_life(small_config(Delivery::automatic), &said) != 0) return 2;
            std::cerr << said << "\n";
            return contains(said, "FAULTLINE_DELIVERY") ? 0 : 3;
        });
        EXPECT_TRUE(end.exited_with(0)) << end;
    }
}

TEST_F(Choice, EmptyAndAutomaticInTheEnvironmentChangeNothing) {
    for (const char* const value : {"", "automatic"}) {
        const ChildEnd end = in_child([value] {
            const std::optional<Delivery> without = delivery_of(small_config(Delivery::automatic));
            ::setenv("FAULTLINE_DELIVERY", value, 1);
            return delivery_of(small_config(Delivery::automatic)) == without ? 0 : 1;
        });
        EXPECT_TRUE(end.exited_with(0)) << end;
    }
}

TEST_F(Choice, InvalidValueInTheEnvironmentIsRefusedAndNamed) {
    for (const char* const value : {"sigbus", "SIGSEGV", "uffd", "1", " uffd_signal"}) {
        const ChildEnd end = in_child([value] {
            ::setenv("FAULTLINE_DELIVERY", value, 1);
            const Attempt made = attempt(small_config(Delivery::automatic));
            std::cerr << made.said << "\n";
            if (made.outcome != Outcome::refused || made.error != EINVAL) return 1;
            if (!contains(made.said, "FAULTLINE_DELIVERY") || !contains(made.said, value)) return 2;
            return contains(made.said, "uffd_threads, uffd_signal, sigsegv") ? 0 : 3;
        });
        EXPECT_TRUE(end.exited_with(0)) << end;
    }
}

TEST_F(Choice, EnvironmentDoesNotOverrideAnExplicitDelivery) {
    for (const char* const value : {"uffd_threads", "uffd_signal", "nonsense"}) {
        const ChildEnd end = in_child([value] {
            ::setenv("FAULTLINE_DELIVERY", value, 1);
            return delivery_of(small_config(Delivery::sigsegv)) == Delivery::sigsegv ? 0 : 1;
        });
        EXPECT_TRUE(end.exited_with(0)) << end;
    }
}

TEST_F(Choice, RefusedDeliveryInTheEnvironmentIsNotReplacedByAnother) {
    expect_in_filtered_child(EPERM, [] {
        ::setenv("FAULTLINE_DELIVERY", "uffd_threads", 1);
        const Attempt made = attempt(small_config(Delivery::automatic));
        std::cerr << made.said << "\n";
        return made.outcome == Outcome::refused && made.error == EPERM ? 0 : 1;
    });
}

}  // namespace
}  // namespace faultline::test
