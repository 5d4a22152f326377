#include "sys/signal_action.hpp"

#include "core/check.hpp"
#include "sys/error.hpp"
#include "sys/futex.hpp"
#include "sys/signal_block.hpp"
#include "sys/syscall.hpp"

#include <ucontext.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace faultline::sys {
namespace {

std::uint64_t kernel_mask(const sigset_t& set) noexcept {
    std::uint64_t mask = 0;  // glibc's sigset_t begins with the kernel's 64 bits
    std::memcpy(&mask, &set, sizeof mask);
    return mask;
}

void set_mask(std::uint64_t mask) noexcept {
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, syscall_argument(&mask), 0, sizeof mask);
}

bool sent_by_a_process(const siginfo_t& info) noexcept { return info.si_code <= 0; }

/// Restores the default action and sends the signal to this thread again, with the same siginfo. It stays pending until
/// our handler returns. A fault would come back by itself; a sent signal would not, so both are sent.
void die_by_default(int signal, siginfo_t* info) noexcept {
    // Otherwise the fault would come back forever.
    FAULTLINE_REQUIRE(restore_default_action(signal),
                      "a fault outside managed memory must end the process, but a seccomp filter refuses sigaction");
    raw_syscall(SYS_rt_tgsigqueueinfo, raw_syscall(SYS_getpid), raw_syscall(SYS_gettid), signal,
                syscall_argument(info));
}

}  // namespace

bool restore_default_action(int signal) FAULTLINE_SIGNAL_SAFE {
    constexpr std::array<std::uint64_t, 4> kDefault{};  // the kernel's structure: handler, flags, restorer, mask
    return raw_syscall(SYS_rt_sigaction, signal, syscall_argument(kDefault.data()), 0, sizeof kDefault.back()) == 0;
}

void SharedAction::set(const struct sigaction& action) FAULTLINE_SIGNAL_SAFE {
    std::array<std::uint64_t, kWords> words;
    std::memcpy(words.data(), &action, sizeof action);
    changes_.fetch_add(1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    for (std::size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_relaxed);
    changes_.fetch_add(1, std::memory_order_release);
    futex_wake(changes_);
}

struct sigaction SharedAction::get() const FAULTLINE_SIGNAL_SAFE {
    std::array<std::uint64_t, kWords> words;
    for (;;) {
        const std::uint32_t before = changes_.load(std::memory_order_acquire);
        for (std::size_t i = 0; i < kWords; ++i) words[i] = words_[i].load(std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_acquire);
        if (before % 2 == 0 && changes_.load(std::memory_order_relaxed) == before) break;
        if (before % 2 != 0) futex_wait(changes_, before);  // the thread that changes it may need this CPU
    }
    struct sigaction action;
    std::memcpy(&action, words.data(), sizeof action);
    return action;
}

InterruptedMask::InterruptedMask(const void* context) FAULTLINE_SIGNAL_SAFE {
    set_mask(kernel_mask(static_cast<const ucontext_t*>(context)->uc_sigmask));
}

InterruptedMask::~InterruptedMask() { set_mask(~std::uint64_t{0}); }

void SignalAction::install(int signal, Handler handler) {
    struct sigaction action {};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    // Not sigfillset(), which omits the two signals that glibc reserves. A thread that is cancelled asynchronously
    // would leave our handler half way, and the page that it owns would stay owned forever.
    std::memset(&action.sa_mask, 0xff, sizeof action.sa_mask);
    spent_.store(false);
    struct sigaction previous {};
    if (::sigaction(signal, nullptr, &previous) != 0)
        throw_error(errno, "cannot read the current signal handler (sigaction)");
    previous_.set(previous);  // before our handler may need it
    if (::sigaction(signal, &action, &previous) != 0) throw_error(errno, "cannot install a signal handler (sigaction)");
    const SignalBlock signals;
    previous_.set(previous);
}

void SignalAction::uninstall(int signal, Handler handler) noexcept {
    struct sigaction current {};
    if (::sigaction(signal, nullptr, &current) != 0 || current.sa_sigaction != handler) return;
    struct sigaction back = previous_.get();
    if (spent_.load()) back = {};  // what the kernel has installed by now
    ::sigaction(signal, &back, nullptr);
}

void SignalAction::set_previous(const struct sigaction& action) FAULTLINE_SIGNAL_SAFE {
    previous_.set(action);
    spent_.store(false);
}

SignalAction::Next SignalAction::next_for(int signal, siginfo_t* info,
                                          const void* context) const FAULTLINE_SIGNAL_SAFE {
    const struct sigaction previous = previous_.get();
    const bool is_plain = (previous.sa_flags & SA_SIGINFO) == 0;
    if (is_plain && previous.sa_handler == SIG_IGN && sent_by_a_process(*info)) return {};
    const bool spent = (previous.sa_flags & static_cast<int>(SA_RESETHAND)) != 0 && spent_.exchange(true);
    if (spent || (is_plain && (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN))) {
        die_by_default(signal, info);  // the kernel does not let a program ignore a fault, either
        return {};
    }
    // The mask that the kernel would set for that handler: the interrupted one, the handler's own, and the signal
    // itself.
    std::uint64_t mask =
        kernel_mask(static_cast<const ucontext_t*>(context)->uc_sigmask) | kernel_mask(previous.sa_mask);
    if ((previous.sa_flags & SA_NODEFER) == 0) mask |= std::uint64_t{1} << (signal - 1);
    return {previous.sa_sigaction, mask};  // a handler with one argument finds it in the same register
}

void SignalAction::call(const Next& next, int signal, siginfo_t* info, void* context) FAULTLINE_SIGNAL_SAFE {
    set_mask(next.mask);
    next.handler(signal, info, context);
    set_mask(~std::uint64_t{0});  // until sigreturn restores the interrupted mask
}

}  // namespace faultline::sys
