#include "guest/guest_signals.hpp"

#include "guest/guest_memory.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace faultline::demo::guest {
namespace {

constexpr std::uint64_t kDefault = 0;  // SIG_DFL
constexpr std::uint64_t kIgnore = 1;   // SIG_IGN
constexpr std::size_t kLeastStackBytes = 2048;

constexpr std::uint64_t bit(int signal) noexcept { return std::uint64_t{1} << (signal - 1); }

/// Returns whether the default action does not end the program: ignore, stop, or a signal that cannot be handled.
bool is_harmless(int signal) noexcept {
    switch (signal) {
        case SIGCHLD:
        case SIGCONT:
        case SIGURG:
        case SIGWINCH:
        case SIGSTOP:
        case SIGTSTP:
        case SIGTTIN:
        case SIGTTOU:
        case SIGKILL:
            return true;
        default:
            return false;
    }
}

}  // namespace

std::uint64_t GuestSignals::allowed(std::uint64_t mask) noexcept { return mask & ~bit(SIGSYS); }

GuestSignals::GuestSignals(std::uint64_t mask) noexcept : initial_mask_{mask}, blocks_gate_{(mask & bit(SIGSYS)) != 0} {
    for (int signal = 1; signal <= kSignals; ++signal) {
        KernelSignalAction now;
        // A signal that this process handles itself is not ignored by the program.
        if (change_signal_action(signal, nullptr, &now) == 0 && now.handler == kIgnore) {
            actions_.at(static_cast<std::size_t>(signal)) = now;
        }
    }
    alternate_.ss_flags = SS_DISABLE;
}

void GuestSignals::watch_fatal() const noexcept {
    for (int signal = 1; signal <= kSignals; ++signal) {
        const KernelSignalAction& action = actions_.at(static_cast<std::size_t>(signal));
        if (action.handler == kDefault && !is_harmless(signal)) static_cast<void>(watch_signal(signal));
    }
}

long GuestSignals::install(int signal, const KernelSignalAction& action) noexcept {
    if (signal == SIGSYS) return 0;
    if (action.handler == kDefault && !is_harmless(signal)) return watch_signal(signal);
    KernelSignalAction mine = action;
    mine.mask = allowed(mine.mask);
    mine.flags &= ~static_cast<std::uint64_t>(SA_ONSTACK);  // the signal stack is the gate's
    return change_signal_action(signal, &mine, nullptr);
}

long GuestSignals::action(int signal, std::uint64_t action, std::uint64_t previous, std::uint64_t set_bytes) noexcept {
    if (set_bytes != kSetBytes) return -EINVAL;
    KernelSignalAction wanted;
    if (action != 0) {
        const auto given = load_from_guest<KernelSignalAction>(action);
        if (!given) return -EFAULT;
        wanted = *given;
    }
    if (signal < 1 || signal > kSignals || (action != 0 && (signal == SIGKILL || signal == SIGSTOP))) return -EINVAL;
    KernelSignalAction& mine = actions_.at(static_cast<std::size_t>(signal));
    const KernelSignalAction before = mine;
    if (action != 0) {
        if (const long error = install(signal, wanted)) return error;
        mine = wanted;
        mine.mask &= ~(bit(SIGKILL) | bit(SIGSTOP));
    }
    if (previous != 0 && !store_to_guest(previous, before)) return -EFAULT;
    return 0;
}

long GuestSignals::mask(std::uint64_t& current, int how, std::uint64_t set, std::uint64_t previous,
                        std::uint64_t set_bytes) noexcept {
    if (set_bytes != kSetBytes) return -EINVAL;
    const std::uint64_t before = current | (blocks_gate_ ? bit(SIGSYS) : 0);
    std::uint64_t after = before;
    if (set != 0) {
        const auto given = load_from_guest<std::uint64_t>(set);
        if (!given) return -EFAULT;
        if (how != SIG_BLOCK && how != SIG_UNBLOCK && how != SIG_SETMASK) return -EINVAL;
        after = how == SIG_BLOCK ? before | *given : how == SIG_UNBLOCK ? before & ~*given : *given;
    }
    blocks_gate_ = (after & bit(SIGSYS)) != 0;
    current = allowed(after);
    if (previous != 0 && !store_to_guest(previous, before)) return -EFAULT;
    return 0;
}

long GuestSignals::alternate_stack(std::uint64_t stack, std::uint64_t previous) noexcept {
    const stack_t before = alternate_;
    if (stack != 0) {
        const auto given = load_from_guest<stack_t>(stack);
        if (!given) return -EFAULT;
        const bool disable = (given->ss_flags & SS_DISABLE) != 0;
        if (!disable && given->ss_size < kLeastStackBytes) return -ENOMEM;
        alternate_ = disable ? stack_t{nullptr, SS_DISABLE, 0} : *given;
    }
    if (previous != 0 && !store_to_guest(previous, before)) return -EFAULT;
    return 0;
}

}  // namespace faultline::demo::guest
