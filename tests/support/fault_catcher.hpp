// FaultCatcher: makes accesses that may raise SIGBUS or SIGSEGV, and returns the siginfo that the program gets.
#pragma once

#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ostream>

namespace faultline::test {

/// The signal that an access raised, and its siginfo; 0: the access succeeded.
struct Caught {
    int signal = 0;
    int code = 0;  // siginfo_t::si_code
    const void* address = nullptr;
    friend bool operator==(const Caught&, const Caught&) = default;
};
inline void PrintTo(const Caught& caught, std::ostream* out) {
    *out << "signal " << caught.signal << " code " << caught.code << " at " << caught.address;
}

/// The program's own handler for SIGBUS and SIGSEGV while it lives. Construct it before the pager, whose handler then
/// runs first and chains to it for signals that it cannot resolve.
class FaultCatcher {
public:
    FaultCatcher() {
        struct sigaction action {};
        action.sa_sigaction = &on_signal;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigemptyset(&action.sa_mask);
        ::sigaction(SIGBUS, &action, &previous_bus_);
        ::sigaction(SIGSEGV, &action, &previous_segv_);
    }
    ~FaultCatcher() {
        ::sigaction(SIGBUS, &previous_bus_, nullptr);
        ::sigaction(SIGSEGV, &previous_segv_, nullptr);
    }
    FaultCatcher(const FaultCatcher&) = delete;
    FaultCatcher& operator=(const FaultCatcher&) = delete;

    /// Reads or writes one byte at `address`.
    static Caught read(const std::byte* address) {
        return attempt([address] { static_cast<void>(*static_cast<const volatile std::byte*>(address)); });
    }
    static Caught write(std::byte* address, std::byte value = std::byte{1}) {
        return attempt([address, value] { *static_cast<volatile std::byte*>(address) = value; });
    }
    /// Calls the function at `address`.
    static Caught execute(const std::byte* address) {
        return attempt([address] { reinterpret_cast<void (*)()>(reinterpret_cast<std::uintptr_t>(address))(); });
    }

private:
    template <typename Access>
    static Caught attempt(Access access) {
        State& mine = state();
        mine.caught = {};
        if (sigsetjmp(mine.back, 1) == 0) {
            mine.armed = 1;
            access();
        }
        mine.armed = 0;
        return mine.caught;
    }

    struct State {
        sigjmp_buf back;
        Caught caught;
        volatile sig_atomic_t armed;
    };
    static State& state() {
        static thread_local State mine;
        return mine;
    }

    static void on_signal(int signal, siginfo_t* info, void*) {
        State& mine = state();
        if (mine.armed == 0) {  // not expected: let it end the process
            ::signal(signal, SIG_DFL);
            return;
        }
        mine.caught = {signal, info->si_code, info->si_addr};
        siglongjmp(mine.back, 1);
    }

    struct sigaction previous_bus_ {};
    struct sigaction previous_segv_ {};
};

}  // namespace faultline::test
