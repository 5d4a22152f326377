// One signal of the process, taken over: our handler in front, whoever was there before behind it.
#pragma once

#include "core/signal_safe.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>

namespace faultline::sys {

/// Makes the kernel do with a signal what it does by default, by a system call of our own. False: refused, which only
/// a seccomp filter does.
[[nodiscard]] bool restore_default_action(int signal) FAULTLINE_SIGNAL_SAFE;

/// An action that one thread may change while others, in signal handlers, read it.
class SharedAction {
public:
    /// One caller at a time, with all signals blocked: a handler on its thread would wait for it.
    void set(const struct sigaction& action) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] struct sigaction get() const FAULTLINE_SIGNAL_SAFE;

private:
    static constexpr std::size_t kWords = sizeof(struct sigaction) / sizeof(std::uint64_t);
    static_assert(kWords * sizeof(std::uint64_t) == sizeof(struct sigaction));

    std::atomic<std::uint32_t> changes_{0};  // odd in the middle of one
    std::array<std::atomic<std::uint64_t>, kWords> words_{};
};

/// The action that was in place before ours, and how to give a signal on to it.
class SignalAction {
public:
    using Handler = void (*)(int, siginfo_t*, void*);

    /// Puts `handler` in front (on the alternate stack if the thread has one, all signals blocked meanwhile). Throws
    /// std::system_error.
    void install(int signal, Handler handler);

    /// Puts the previous action back if `handler` is still in front; else leaves the newer one alone.
    void uninstall(int signal, Handler handler) noexcept;

    /// A handler to call, and what the kernel would block for it; null when there is nothing left to do.
    struct Next {
        Handler handler = nullptr;
        std::uint64_t mask = 0;
    };

    /// From inside our handler: returns the previous handler, which the caller calls with the same siginfo and context;
    /// or lets the default action happen to the faulting instruction, or ignores what was sent and ignored.
    [[nodiscard]] Next next_for(int signal, siginfo_t* info, const void* context) const FAULTLINE_SIGNAL_SAFE;

    /// Calls it, with that blocked. It may leave by siglongjmp.
    static void call(const Next& next, int signal, siginfo_t* info, void* context) FAULTLINE_SIGNAL_SAFE;

    /// The action behind ours, which signals are given on to; and another in its place (SharedAction says how). For who
    /// answers the program's calls of sigaction(2).
    [[nodiscard]] struct sigaction behind() const FAULTLINE_SIGNAL_SAFE { return previous_.get(); }
    void put_behind(const struct sigaction& action) FAULTLINE_SIGNAL_SAFE;

private:
    SharedAction previous_;
    mutable std::atomic<bool> spent_{false};  // the previous handler was for once (SA_RESETHAND) and had its call
};

/// Inside a handler that all signals are blocked in: blocks only what was blocked where it interrupted, while it lives.
class InterruptedMask {
public:
    /// `context` is what the handler was given.
    explicit InterruptedMask(const void* context) FAULTLINE_SIGNAL_SAFE;
    ~InterruptedMask();
    InterruptedMask(const InterruptedMask&) = delete;
    InterruptedMask& operator=(const InterruptedMask&) = delete;
};

}  // namespace faultline::sys
