#include "guest/guest.hpp"

#include "guest/guest_memory.hpp"

#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <new>

namespace faultline::demo::guest {
namespace {

// System calls that older headers do not define.
constexpr long kMemorySeal = 462;
constexpr long kMapShadowStack = 453;

struct MaskAndSize {
    std::uint64_t mask = 0;
    std::uint64_t bytes = 0;
};

/// Calls that are refused: a new thread or process would not be dispatched, and rings and shared memory would lie
/// outside the space.
bool is_not_offered(long number) noexcept {
    switch (number) {
        case SYS_clone:
        case SYS_clone3:
        case SYS_fork:
        case SYS_vfork:
        case SYS_execve:
        case SYS_execveat:
        case SYS_rseq:
        case SYS_seccomp:
        case SYS_mremap:
        case SYS_mincore:
        case SYS_remap_file_pages:
        case SYS_shmat:
        case SYS_shmdt:
        case SYS_io_setup:
        case SYS_io_uring_setup:
        case SYS_pkey_mprotect:
        case SYS_pkey_alloc:
        case SYS_pkey_free:
        case kMapShadowStack:
        case kMemorySeal:
            return true;
        default:
            return false;
    }
}

bool is_refused_control(std::uint64_t operation) noexcept {
    return operation == PR_SET_SYSCALL_USER_DISPATCH || operation == PR_SET_SECCOMP || operation == PR_SET_MM;
}

/// Saves the process's signal actions, and restores them at the end.
class SavedActions {
public:
    SavedActions() noexcept {
        for (int signal = 1; signal <= GuestSignals::kSignals; ++signal) {
            static_cast<void>(change_signal_action(signal, nullptr, &at(signal)));
        }
    }
    ~SavedActions() {
        for (int signal = 1; signal <= GuestSignals::kSignals; ++signal) {
            static_cast<void>(
                change_signal_action(signal, &at(signal), nullptr));  // fails for SIGKILL, which has no action
        }
    }
    SavedActions(const SavedActions&) = delete;
    SavedActions& operator=(const SavedActions&) = delete;

private:
    [[nodiscard]] KernelSignalAction& at(int signal) noexcept { return all_.at(static_cast<std::size_t>(signal)); }
    std::array<KernelSignalAction, GuestSignals::kSignals + 1> all_{};
};

}  // namespace

GuestEnd Guest::run(std::uint64_t entry, std::uint64_t stack) {
    const SavedActions actions;
    signals_.watch_fatal();
    run_through_gate(*this, entry, stack, signals_.initial_mask());
    return end_;
}

void Guest::end(const GuestEnd& how) {
    end_ = how;
    leave_gate();
}

void Guest::on_signal(const siginfo_t& info, const ucontext_t&) noexcept {
    GuestEnd how{.signal = info.si_signo};
    how.was_a_fault =
        info.si_code > 0 && info.si_code != SI_KERNEL && (info.si_signo == SIGSEGV || info.si_signo == SIGBUS);
    if (how.was_a_fault) how.address = reinterpret_cast<std::uint64_t>(info.si_addr);  // NOLINT: what the program named
    end(how);
}

void Guest::on_call(GuestCall& call) noexcept {
    ++counts_.calls;
    try {
        route(call);
    } catch (const std::bad_alloc&) {
        call.answer(-ENOMEM);
    } catch (const std::exception&) {
        call.answer(-EIO);  // for example without /proc
    }
}

void Guest::route(GuestCall& call) {
    const long number = call.number();
    const auto [a, b, c, d, e, f] = call.arguments();
    if (elf::MemoryCalls::serves(number)) return serve_memory(call);
    if (is_not_offered(number)) return call.answer(-ENOSYS);
    switch (number) {
        case SYS_exit:
        case SYS_exit_group:
            return end({.exit_code = static_cast<int>(a & 0xff)});
        case SYS_rt_sigaction:
            return call.answer(signals_.action(static_cast<int>(a), b, c, d));
        case SYS_rt_sigprocmask:
            return call.answer(signals_.mask(call.mask(), static_cast<int>(a), b, c, d));
        case SYS_sigaltstack:
            return call.answer(signals_.alternate_stack(a, b));
        case SYS_rt_sigreturn:
            return call.pass_signal_return();
        case SYS_rt_sigsuspend:
            return pass_with_mask(call, 0, GuestCall::MaskArgument::direct);
        case SYS_ppoll:
            return pass_with_mask(call, 3, GuestCall::MaskArgument::direct);
        case SYS_epoll_pwait:
        case SYS_epoll_pwait2:
            return pass_with_mask(call, 4, GuestCall::MaskArgument::direct);
        case SYS_pselect6:
            return pass_with_mask(call, 5, GuestCall::MaskArgument::with_size);
        case SYS_set_tid_address:  // libc's address stays registered with the kernel
            return call.answer(::gettid());
        case SYS_set_robust_list:
            return call.answer(0);
        case SYS_mlock:
        case SYS_mlock2:
        case SYS_mlockall:
            return call.answer(-EPERM);  // only the pager may change the limit
        case SYS_prctl:
            if (is_refused_control(a)) return call.answer(-EINVAL);
            return pass(call);
        case SYS_close:
        case SYS_dup3:
        case SYS_dup2: {
            const std::uint64_t gone = number == SYS_close ? a : b;
            if (descriptors_.has(gone)) return call.answer(-EBADF);
            return pass(call);
        }
        case SYS_close_range:
            return call.answer(descriptors_.close_range(a, b, c));
        default:
            return pass(call);
    }
}

void Guest::serve_memory(GuestCall& call) {
    ++counts_.memory_calls;
    const elf::Arguments arguments = call.arguments();
    const bool maps_a_file = call.number() == SYS_mmap && (arguments[3] & MAP_ANONYMOUS) == 0;
    if (maps_a_file) descriptors_.remember();
    call.answer(memory_.serve(call.number(), arguments));
    if (maps_a_file) descriptors_.claim();
}

/// As the kernel does when it cannot push a signal frame.
void Guest::require_scratch(const GuestCall& call) {
    const auto begin = reinterpret_cast<std::uint64_t>(space_.stack_begin());
    const auto end_of_stack = reinterpret_cast<std::uint64_t>(space_.stack_end());
    const std::uint64_t at = call.scratch();
    if (at >= begin && at < end_of_stack && end_of_stack - at >= GuestCall::kScratchBytes) return;
    std::array<std::byte, GuestCall::kScratchBytes> there{};
    if (copy_from_guest(there.data(), at, there.size()) && copy_to_guest(at, there.data(), there.size())) return;
    end({.signal = SIGSEGV, .was_a_fault = true, .address = at});
}

void Guest::pass(GuestCall& call) {
    require_scratch(call);
    call.pass();
}

void Guest::pass_with_mask(GuestCall& call, unsigned argument, GuestCall::MaskArgument kind) {
    const auto arguments = call.arguments();
    const std::uint64_t given = arguments.at(argument);
    if (given == 0) return pass(call);
    std::uint64_t address = given;
    if (kind == GuestCall::MaskArgument::with_size) {
        const auto both = load_from_guest<MaskAndSize>(given);
        if (!both) return call.answer(-EFAULT);
        if (both->mask == 0 || both->bytes != sizeof both->mask) return pass(call);
        address = both->mask;
    }
    const auto mask = load_from_guest<std::uint64_t>(address);
    if (!mask) return call.answer(-EFAULT);
    if (GuestSignals::allowed(*mask) == *mask) return pass(call);
    require_scratch(call);
    call.pass_with_mask(argument, kind, GuestSignals::allowed(*mask));
}

}  // namespace faultline::demo::guest
