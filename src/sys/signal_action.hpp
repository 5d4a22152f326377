// SignalAction: takes over one signal of the process. Our handler is in front; the previous action is behind it and
// gets the signals that our handler passes on. It does not decide which signals those are: SignalFaultSource does.
#pragma once

#include "core/signal_safe.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>

namespace faultline::sys {

/// Restores the default action of a signal with a raw system call. Returns false if a seccomp filter refuses.
[[nodiscard]] bool restore_default_action(int signal) FAULTLINE_SIGNAL_SAFE;

/// An action that one thread may change while signal handlers on other threads read it.
class SharedAction {
public:
    /// Changes the action. One caller at a time, with all signals blocked: a handler on its thread would wait for it.
    void set(const struct sigaction& action) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] struct sigaction get() const FAULTLINE_SIGNAL_SAFE;

private:
    static constexpr std::size_t kWords = sizeof(struct sigaction) / sizeof(std::uint64_t);
    static_assert(kWords * sizeof(std::uint64_t) == sizeof(struct sigaction));

    std::atomic<std::uint32_t> changes_{0};  // odd during a change
    std::array<std::atomic<std::uint64_t>, kWords> words_{};
};

/// The action before ours, and how to pass a signal on to it.
class SignalAction {
public:
    using Handler = void (*)(int, siginfo_t*, void*);

    /// Installs `handler` in front: on the alternate stack if the thread has one, with all signals blocked. Throws
    /// std::system_error.
    void install(int signal, Handler handler);

    /// Restores the previous action if `handler` is still in front; else leaves the newer action alone.
    void uninstall(int signal, Handler handler) noexcept;

    /// A handler to call and the signals that the kernel would block for it. Null if nothing is left to do.
    struct Next {
        Handler handler = nullptr;
        std::uint64_t mask = 0;
    };

    /// Returns the previous handler, which the caller calls with the same siginfo and context. Without one, applies the
    /// default action to the faulting instruction, or ignores a signal that was sent and is ignored. Call in our
    /// handler.
    [[nodiscard]] Next next_for(int signal, siginfo_t* info, const void* context) const FAULTLINE_SIGNAL_SAFE;

    /// Calls the handler with its mask blocked. The handler may leave by siglongjmp.
    static void call(const Next& next, int signal, siginfo_t* info, void* context) FAULTLINE_SIGNAL_SAFE;

    /// `previous` returns the action behind ours; `set_previous` replaces it (rules: SharedAction::set). The preload
    /// answers the program's sigaction(2) calls with them.
    [[nodiscard]] struct sigaction previous() const FAULTLINE_SIGNAL_SAFE { return previous_.get(); }
    void set_previous(const struct sigaction& action) FAULTLINE_SIGNAL_SAFE;

private:
    SharedAction previous_;
    mutable std::atomic<bool> spent_{false};  // the previous handler was for one signal only (SA_RESETHAND) and got it
};

/// Restores, inside a handler that runs with all signals blocked, the mask of the interrupted code while it lives.
class InterruptedMask {
public:
    /// `context` is the handler's third argument.
    explicit InterruptedMask(const void* context) FAULTLINE_SIGNAL_SAFE;
    ~InterruptedMask();
    InterruptedMask(const InterruptedMask&) = delete;
    InterruptedMask& operator=(const InterruptedMask&) = delete;
};

}  // namespace faultline::sys
