#include "preload/dispatch.hpp"

#include "core/units.hpp"
#include "mmu/signal_fault_source.hpp"
#include "preload/call_entry.hpp"
#include "preload/call_stacks.hpp"
#include "preload/calls.hpp"
#include "preload/clone_calls.hpp"
#include "preload/descriptors.hpp"
#include "preload/exec_calls.hpp"
#include "preload/foreign_tls.hpp"
#include "preload/managed_heap.hpp"
#include "preload/program_memory.hpp"
#include "preload/signal_stack.hpp"
#include "preload/static_program/process_calls.hpp"
#include "preload/status.hpp"
#include "preload/thread_state.hpp"
#include "preload/traced_child.hpp"
#include "sys/error.hpp"
#include "sys/futex_lock.hpp"
#include "sys/program_registers.hpp"
#include "sys/signal_block.hpp"
#include "sys/syscall.hpp"

#include <linux/prctl.h>
#include <sys/prctl.h>
#include <ucontext.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <mutex>
#include <optional>

// The return address of signal handlers. Its bytes are those of the C library's, because debuggers and unwinders
// recognize them. It lies in this library, whose calls are not dispatched.
asm(R"(
        .pushsection .text.faultline_preload, "ax", @progbits
        nop
        .globl  faultline_preload_restore
        .hidden faultline_preload_restore
        .type   faultline_preload_restore, @function
faultline_preload_restore:
        mov     $15, %rax
        syscall
        .size   faultline_preload_restore, .-faultline_preload_restore
        .popsection
)");
extern "C" void faultline_preload_restore();

namespace faultline::preload {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

constexpr std::uint64_t kRestorer = 0x04000000;  // SA_RESTORER, which glibc does not export
constexpr std::uint64_t kCallBytes = 2;          // size of the system call instruction

constexpr std::uint64_t bit(int signal) noexcept { return std::uint64_t{1} << (signal - 1); }

/// The signals that are never blocked in a thread: those of faults and of calls.
constexpr std::uint64_t kKept = kFaultSignals | bit(SIGSYS);

/// The structure that the kernel's rt_sigaction(2) takes.
struct KernelAction {
    std::uint64_t handler = 0;
    std::uint64_t flags = 0;
    std::uint64_t restorer = 0;
    std::uint64_t mask = 0;
};

long kernel_action(int signal, const KernelAction* action, KernelAction* previous) noexcept {
    return raw_syscall(SYS_rt_sigaction, signal, syscall_argument(action), syscall_argument(previous), kSignalSetBytes);
}

std::uint64_t& mask_of(ucontext_t& context) noexcept {
    static_assert(sizeof context.uc_sigmask.__val[0] == sizeof(std::uint64_t));
    return context.uc_sigmask.__val[0];
}

// ---- the program's signals

using Handler = void (*)(int, siginfo_t*, void*);

int fault_signal = 0;               // 0: faults arrive without a signal
sys::FutexLock actions_lock;        // guards the actions below; taken with all signals blocked
constinit KernelAction for_sigsys;  // the program's action for SIGSYS
constinit std::atomic<Handler> fault_handler_of_program{nullptr};
constinit std::atomic<std::uint64_t> fault_mask_of_program{0};

bool is_function(std::uint64_t handler) noexcept {
    return handler != reinterpret_cast<std::uint64_t>(SIG_DFL) && handler != reinterpret_cast<std::uint64_t>(SIG_IGN);
}

/// The handler behind the library's if the program has thread-local storage of its own. Its action blocks all signals:
/// a handler of the program that ran before FS is the program's would find the library's storage.
void call_fault_handler_of_program(int signal, siginfo_t* info, void* given) {
    const std::uint64_t mask = mask_of(*static_cast<ucontext_t*>(given)) | fault_mask_of_program.load();
    faultline_preload_call_as_program(fault_handler_of_program.load(), signal, info, given, mask);
}

KernelAction action_behind_fault() noexcept {
    const struct sigaction behind = mmu::action_behind(fault_signal);
    const bool wrapped = behind.sa_sigaction == &call_fault_handler_of_program;
    KernelAction action;
    action.handler = reinterpret_cast<std::uint64_t>(wrapped ? fault_handler_of_program.load() : behind.sa_sigaction);
    action.flags = static_cast<std::uint32_t>(behind.sa_flags);
    std::memcpy(&action.mask, &behind.sa_mask, sizeof action.mask);
    if (wrapped) action.mask = fault_mask_of_program.load();
    return action;
}

void put_behind_fault(const KernelAction& wanted) noexcept {
    struct sigaction action {};
    action.sa_sigaction = reinterpret_cast<Handler>(wanted.handler);
    action.sa_flags = static_cast<int>(wanted.flags);
    std::uint64_t mask = wanted.mask & ~kKept;
    if (ForeignTls::active() && is_function(wanted.handler)) {
        fault_handler_of_program.store(action.sa_sigaction);
        fault_mask_of_program.store(mask);
        action.sa_sigaction = &call_fault_handler_of_program;
        mask = ~std::uint64_t{0};
    }
    std::memcpy(&action.sa_mask, &mask, sizeof mask);
    mmu::put_action_behind(fault_signal, action);
}

/// Changes that a child of vfork has made to the actions of the library's signals. The parent shares this memory, but
/// its own actions do not change.
struct ChildActions {
    long child = 0;  // the child's process number
    std::array<std::optional<KernelAction>, 2> changed;
};
[[gnu::tls_model("initial-exec")]] constinit thread_local ChildActions child_actions;

std::optional<KernelAction>& action_of_child(int signal) noexcept {
    const long self = raw_syscall(SYS_getpid);
    if (child_actions.child != self) child_actions = {self, {}};
    return child_actions.changed[signal == SIGSYS ? 0 : 1];
}

/// Stores the program's action for a signal that the library handles. The kernel keeps the library's handler.
long change_own_signal(int signal, const KernelAction* wanted, KernelAction& before) noexcept {
    const sys::SignalBlock signals;
    const std::lock_guard lock{actions_lock};
    before = signal == SIGSYS ? for_sigsys : action_behind_fault();
    if (in_child_of_vfork()) {
        std::optional<KernelAction>& of_child = action_of_child(signal);
        if (of_child) before = *of_child;
        if (wanted != nullptr) of_child = *wanted;
        return 0;
    }
    if (wanted == nullptr) return 0;
    if (signal == SIGSYS) {
        for_sigsys = *wanted;
    } else {
        put_behind_fault(*wanted);
    }
    return 0;
}

/// Does what rt_sigaction(2) does. Handlers run with the kept signals unblocked, and return through the restorer above.
long change_action(int signal, std::uint64_t given, std::uint64_t previous, std::uint64_t set_bytes) noexcept {
    if (set_bytes != kSignalSetBytes) return -EINVAL;
    KernelAction wanted;
    if (given != 0) {
        const std::optional<KernelAction> loaded = load<KernelAction>(given);
        if (!loaded) return -EFAULT;
        wanted = *loaded;
        wanted.mask &= ~kKept;
        wanted.flags |= kRestorer;
        wanted.restorer = reinterpret_cast<std::uint64_t>(&faultline_preload_restore);
    }
    KernelAction before;
    const KernelAction* const set = given != 0 ? &wanted : nullptr;
    const bool own = signal == SIGSYS || (signal == fault_signal && signal != 0);
    const long result = own ? change_own_signal(signal, set, before) : kernel_action(signal, set, &before);
    if (result != 0 || previous == 0) return result;
    return store(previous, before) ? 0 : -EFAULT;  // the action has changed, as with the kernel
}

/// Does what rt_sigprocmask(2) does, to the mask with which the thread will continue.
long change_mask(std::uint64_t& mask, int how, std::uint64_t given, std::uint64_t previous,
                 std::uint64_t set_bytes) noexcept {
    if (set_bytes != kSignalSetBytes) return -EINVAL;
    const std::uint64_t before = mask;
    if (given != 0) {
        const std::optional<std::uint64_t> set = load<std::uint64_t>(given);
        if (!set) return -EFAULT;
        switch (how) {
            case SIG_BLOCK:
                mask = before | *set;
                break;
            case SIG_UNBLOCK:
                mask = before & ~*set;
                break;
            case SIG_SETMASK:
                mask = *set;
                break;
            default:
                return -EINVAL;
        }
        mask &= ~(kKept | bit(SIGKILL) | bit(SIGSTOP));
    }
    return previous == 0 || store(previous, before) ? 0 : -EFAULT;
}

// ---- calls

long answer(ucontext_t& context, Call& call) {
    if (ForeignTls::active()) {
        if (const std::optional<long> answer = ProcessCalls::answer(context, call)) return *answer;
    }
    const auto& a = call.arguments;
    switch (call.number) {
        case SYS_rt_sigprocmask:
            return change_mask(mask_of(context), static_cast<int>(a[0]), a[1], a[2], a[3]);
        case SYS_rt_sigaction:
            return change_action(static_cast<int>(a[0]), a[1], a[2], a[3]);
        case SYS_sigaltstack:
            return change_alternate_stack(context, a[0], a[1]);
        case SYS_close:
            if (is_own_descriptor(a[0] & UINT_MAX)) return -EBADF;
            break;
        case SYS_dup2:
        case SYS_dup3:
            if (is_own_descriptor(a[0] & UINT_MAX) || is_own_descriptor(a[1] & UINT_MAX)) return -EBADF;
            break;
        case SYS_close_range:
            return close_range_of_program(static_cast<unsigned>(a[0]), static_cast<unsigned>(a[1]),
                                          static_cast<unsigned>(a[2]), CallFrom::dispatch);
        case SYS_execve:
        case SYS_execveat:
            return exec_of_call(call, mask_of(context));
        case SYS_ptrace:
            if (TracedChild::keeps(call)) return 0;
            break;
        case SYS_prctl:
            if (a[0] == PR_SET_SYSCALL_USER_DISPATCH)
                return -EINVAL;  // a thread has one dispatch, which this library uses
            break;
        default:
            break;
    }
    return make_call(call, mask_of(context));
}

bool ends_program(long number) noexcept {
    return number == SYS_exit_group || number == SYS_execve || number == SYS_execveat;
}

/// Passes on a SIGSYS that dispatch did not cause: a filter of the program raised it, or a process sent it.
void pass_on(int signal, siginfo_t* info, void* context) noexcept {
    KernelAction action;
    static_cast<void>(change_own_signal(SIGSYS, nullptr, action));
    if (action.handler == reinterpret_cast<std::uint64_t>(SIG_IGN)) return;
    if (is_function(action.handler)) {
        // A handler of one argument ignores the other two.
        return faultline_preload_call_as_program(reinterpret_cast<Handler>(action.handler), signal, info, context,
                                                 kHandlerMask);
    }
    const KernelAction fallback;
    kernel_action(SIGSYS, &fallback, nullptr);
    raw_syscall(SYS_rt_tgsigqueueinfo, raw_syscall(SYS_getpid), raw_syscall(SYS_gettid), SIGSYS,
                syscall_argument(info));
}

}  // namespace

void on_call(int signal, siginfo_t* info, void* given) {
    auto& context = *static_cast<ucontext_t*>(given);
    auto& registers = context.uc_mcontext.gregs;
    if (info->si_code != kSystemCallDispatched) return pass_on(signal, info, given);
    const StackPointerScope stack{static_cast<std::uint64_t>(registers[REG_RSP])};
    Call call = call_in(context);
    const void* const caller = pointer<const void>(static_cast<std::uint64_t>(registers[REG_RIP]));
    call.of_neighbour = ManagedHeap::neighbours().maps_for_itself(caller);
    if (call.number == SYS_rt_sigreturn) {
        registers[REG_RIP] = reinterpret_cast<greg_t>(&faultline_preload_restore);
        return;
    }
    if (creates_child_in_same_memory(call) && !ProcessCalls::creates_thread(call)) {
        if (redirect_to_clone(context, call)) return;
        // Makes the thread repeat the call, which the kernel then does not dispatch. Leaving the library the next time
        // sets the selector again.
        registers[REG_RIP] -= static_cast<greg_t>(kCallBytes);
        this_thread.selector = kAllowCalls;
        return;
    }
    const int saved_errno = errno;
    if (ends_program(call.number)) publish_status_before_end();
    {
        const InLibrary inside;
        const sys::ProgramRegistersScope program{&registers[0]};
        const CallScope scope{context};
        registers[REG_RAX] = answer(context, call);
    }
    errno = saved_errno;
}

namespace {

int dispatch_this_thread() noexcept {
    const CodeRange& self = ManagedHeap::neighbours().self;
    return sys::error_of(raw_syscall(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, self.begin,
                                     self.end - self.begin, syscall_argument(&this_thread.selector)));
}

void unblock_kept() noexcept {
    raw_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, syscall_argument(&kKept), 0, kSignalSetBytes);
}

/// The handler of faults must return to the kernel directly, with all signals blocked. A return through the C library
/// would make a dispatched call.
void change_fault_action(int signal) {
    KernelAction faults;
    kernel_action(signal, nullptr, &faults);
    if (ForeignTls::active()) {
        faults.handler = reinterpret_cast<std::uint64_t>(&faultline_preload_fault_entry);
        mmu::expect_in_front(&faultline_preload_fault_entry);
    }
    faults.flags |= kRestorer;
    faults.restorer = reinterpret_cast<std::uint64_t>(&faultline_preload_restore);
    if (const long result = kernel_action(signal, &faults, nullptr)) {
        sys::throw_error(sys::error_of(result), "cannot install the handler of faults");
    }
}

}  // namespace

void Dispatch::start(int signal) {
    fault_signal = signal;
    const auto restorer = reinterpret_cast<std::uint64_t>(&faultline_preload_restore);
    const KernelAction mine{reinterpret_cast<std::uint64_t>(&faultline_preload_enter),
                            SA_SIGINFO | SA_RESTART | SA_ONSTACK | kRestorer, restorer, kHandlerMask};
    if (const long result = kernel_action(SIGSYS, &mine, &for_sigsys)) {
        sys::throw_error(sys::error_of(result), "cannot install the handler of SIGSYS");
    }
    if (signal != 0) change_fault_action(signal);
    unblock_kept();
    if (const int error = dispatch_this_thread()) {
        sys::throw_error(error == EINVAL ? ENOSYS : error,
                         "this kernel has no Syscall User Dispatch (Linux 5.11), so system calls on absent pages would "
                         "fail; run as root, or set FAULTLINE_DELIVERY to uffd_threads if that is allowed");
    }
    measure_signal_frames();
    this_thread.stacks = CallStacks::take();
    active_ = true;
}

void Dispatch::change_fault_signal(int signal) {
    if (signal == fault_signal) return;
    fault_signal = signal;
    if (signal != 0) change_fault_action(signal);
}

bool Dispatch::calls_need_resident_memory() noexcept { return fault_signal != 0; }

void Dispatch::begin_thread() noexcept {
    if (!active_) return;
    unblock_kept();
    if (this_thread.stacks == nullptr) this_thread.stacks = CallStacks::take();
    // Cannot fail: it succeeded for the first thread and needs no memory.
    if (dispatch_this_thread() == 0 && this_thread.inside == 0) this_thread.selector = kBlockCalls;
}

}  // namespace faultline::preload
