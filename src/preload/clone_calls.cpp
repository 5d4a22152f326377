#include "preload/clone_calls.hpp"

#include "preload/dispatch.hpp"
#include "preload/foreign_tls.hpp"
#include "preload/program_memory.hpp"
#include "preload/thread_state.hpp"
#include "sys/syscall.hpp"

#include <linux/sched.h>
#include <sys/types.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>

// Two functions that make the call. They run with the registers of the program's call, and with every signal blocked
// that can be blocked.
//
// faultline_preload_clone: the child starts on its own stack, with a ChildStart on it.
// faultline_preload_vfork: the child starts on the stack of its parent, which waits for it. Both run the same code.
//
// A system call must preserve all registers but rax, rcx and r11.
asm(R"(
        .pushsection .text.faultline_preload, "ax", @progbits
        .globl  faultline_preload_clone
        .hidden faultline_preload_clone
        .type   faultline_preload_clone, @function
faultline_preload_clone:
        syscall
        test    %rax, %rax
        jnz     1f
        push    %rbp
        push    %rdx
        push    %r8
        push    %r9
        push    %r10
        mov     %rsp, %rbp
        lea     40(%rsp), %rdi
        and     $-16, %rsp
        call    faultline_preload_from_program
        call    faultline_preload_begin_child
        call    faultline_preload_to_program
        mov     %rbp, %rsp
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdx
        pop     %rbp
        pop     %rcx
        pop     %rdi
        pop     %rsi
        lea     8(%rsp), %rsp
        xor     %eax, %eax
        jmp     *%rcx
        .size   faultline_preload_clone, .-faultline_preload_clone

        .globl  faultline_preload_vfork
        .hidden faultline_preload_vfork
        .type   faultline_preload_vfork, @function
faultline_preload_vfork:
        syscall
1:      lea     -128(%rsp), %rsp
        push    %rbp
        push    %rdx
        push    %r8
        push    %r9
        push    %r10
        push    %rsi
        push    %rdi
        push    %rax
        push    $0
        mov     %rsp, %rbp
        mov     %rsp, %rdi
        sub     $512, %rsp
        and     $-16, %rsp
        fxsave64 (%rsp)
        call    faultline_preload_from_program
        call    faultline_preload_after_clone
        call    faultline_preload_to_program
        fxrstor64 (%rsp)
        mov     %rbp, %rsp
        pop     %rcx
        pop     %rax
        pop     %rdi
        pop     %rsi
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdx
        pop     %rbp
        lea     128(%rsp), %rsp
        jmp     *%rcx
        .size   faultline_preload_vfork, .-faultline_preload_vfork
        .popsection
)");
extern "C" void faultline_preload_clone();
extern "C" void faultline_preload_vfork();

namespace faultline::preload {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

constexpr std::uint64_t kAllButFaultsAndSigsys = kHandlerMask & ~(std::uint64_t{1} << (SIGSYS - 1));

/// The structure that clone3(2) takes, in the longest form that the kernel knows.
struct CloneArguments {
    std::array<std::uint64_t, 16> words;
    static constexpr std::size_t kFlags = 0;
    static constexpr std::size_t kStack = 5;
    static constexpr std::size_t kStackBytes = 6;
};

/// Lies on top of a child's own stack; faultline_preload_clone pops it.
struct ChildStart {
    std::uint64_t resume_at;
    std::uint64_t rdi;
    std::uint64_t rsi;
    std::uint64_t mask;
};

/// The registers and the signal mask with which the parent continues.
struct PendingClone {
    pid_t parent = 0;
    std::uint64_t resume_at = 0;
    std::uint64_t rdi = 0;
    std::uint64_t rsi = 0;
    std::uint64_t mask = 0;
    CloneArguments arguments{};  // replaces the program's structure
};

/// The unfinished calls of a thread and of the children that it waits for; these share its thread-local storage.
constexpr std::size_t kMostPendingClones = 4;
struct PendingClones {
    std::size_t count = 0;
    std::array<PendingClone, kMostPendingClones> all{};
};
[[gnu::tls_model("initial-exec")]] constinit thread_local PendingClones pending_clones;

/// How the child starts.
struct Plan {
    std::uint64_t flags = 0;
    std::uint64_t stack_end = 0;  // 0: on the parent's stack
};

bool plan_of(const Call& call, Plan& plan, CloneArguments& copy) noexcept {
    const auto& a = call.arguments;
    switch (call.number) {
        case SYS_vfork:
            plan.flags = CLONE_VM | CLONE_VFORK;
            return true;
        case SYS_clone:
            plan = {a[0], a[1]};
            return true;
        case SYS_clone3:
            if (a[1] <= CloneArguments::kStackBytes * sizeof(std::uint64_t) || a[1] > sizeof copy) return false;
            if (!permits(a[0], a[1], PinFor::reading)) return false;
            std::memcpy(&copy, reinterpret_cast<const void*>(a[0]), a[1]);
            plan.flags = copy.words[CloneArguments::kFlags];
            plan.stack_end = copy.words[CloneArguments::kStack] + copy.words[CloneArguments::kStackBytes];
            return true;
        default:
            return false;
    }
}

void set_mask(std::uint64_t mask) noexcept {
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, syscall_argument(&mask), 0, sizeof mask);
}

void begin_child(std::uint64_t mask) noexcept {
    set_mask(mask);
    this_thread.inside = 0;
    Dispatch::begin_thread();
}

/// Drops this call and those above it, which belong to children that were killed.
void finish_clone(std::size_t index) noexcept {
    pending_clones.count = index;
    this_thread.inside = 0;
    this_thread.selector = kBlockCalls;
}

}  // namespace

bool creates_child_in_same_memory(const Call& call) noexcept {
    switch (call.number) {
        case SYS_vfork:
            return true;
        case SYS_clone:
            return (call.arguments[0] & CLONE_VM) != 0;
        case SYS_clone3:
            return (load<std::uint64_t>(call.arguments[0]).value_or(0) & CLONE_VM) != 0;
        default:
            return false;
    }
}

bool redirect_to_clone(ucontext_t& context, const Call& call) noexcept {
    PendingClone pending;
    Plan plan;
    if (pending_clones.count == kMostPendingClones || !plan_of(call, plan, pending.arguments)) return false;
    const bool alone = (plan.flags & CLONE_VFORK) != 0;
    if (!alone && (plan.stack_end == 0 || (plan.flags & CLONE_SETTLS) == 0)) return false;

    auto& registers = context.uc_mcontext.gregs;
    std::uint64_t& mask = context.uc_sigmask.__val[0];
    pending.parent = static_cast<pid_t>(raw_syscall(SYS_gettid));
    pending.resume_at = static_cast<std::uint64_t>(registers[REG_RIP]);
    pending.rdi = call.arguments[0];
    pending.rsi = call.arguments[1];
    pending.mask = mask;
    PendingClone& kept = pending_clones.all[pending_clones.count];
    kept = pending;
    if (plan.stack_end != 0) {
        const std::uint64_t at = plan.stack_end - sizeof(ChildStart);
        if (!store(at, ChildStart{pending.resume_at, pending.rdi, pending.rsi, pending.mask})) return false;
        if (call.number == SYS_clone3) {
            kept.arguments.words[CloneArguments::kStackBytes] -= sizeof(ChildStart);
            registers[REG_RDI] = reinterpret_cast<greg_t>(&kept.arguments);
        } else {
            registers[REG_RSI] = static_cast<greg_t>(at);
        }
    }
    ++pending_clones.count;
    mask = kAllButFaultsAndSigsys;
    registers[REG_RIP] =
        reinterpret_cast<greg_t>(plan.stack_end != 0 ? &faultline_preload_clone : &faultline_preload_vfork);
    return true;
}

bool in_child_of_vfork() noexcept { return pending_clones.count > 0; }

}  // namespace faultline::preload

// NOLINTBEGIN: the assembly above calls these
extern "C" {

struct RegistersAfterClone {
    std::uint64_t resume_at, rax, rdi, rsi;
};

[[gnu::visibility("hidden"), gnu::used]] void faultline_preload_begin_child(const void* beginning) noexcept {
    using namespace faultline::preload;
    begin_child(static_cast<const ChildStart*>(beginning)->mask);
}

/// Runs in the parent, and in a child on its parent's stack.
[[gnu::visibility("hidden"), gnu::used]] void faultline_preload_after_clone(RegistersAfterClone* registers) noexcept {
    using namespace faultline::preload;
    std::size_t index = pending_clones.count - 1;
    if (registers->rax != 0) {
        const auto self = static_cast<pid_t>(raw_syscall(SYS_gettid));
        while (index > 0 && pending_clones.all[index].parent != self) --index;
    }
    const PendingClone pending = pending_clones.all[index];
    registers->resume_at = pending.resume_at;
    registers->rdi = pending.rdi;
    registers->rsi = pending.rsi;
    if (registers->rax == 0) return begin_child(pending.mask);
    finish_clone(index);
    set_mask(pending.mask);
}

}  // extern "C"
// NOLINTEND
