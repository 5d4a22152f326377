#include "mmu/user_return.hpp"

#include "core/units.hpp"

#include <cpuid.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

// Layout that the assembly below relies on.
static_assert(offsetof(ucontext_t, uc_mcontext.gregs) == 40 && REG_R8 == 0 && REG_R9 == 1 && REG_R10 == 2 &&
              REG_R11 == 3 && REG_R12 == 4 && REG_R13 == 5 && REG_R14 == 6 && REG_R15 == 7 && REG_RDI == 8 &&
              REG_RSI == 9 && REG_RBP == 10 && REG_RBX == 11 && REG_RDX == 12 && REG_RAX == 13 && REG_RCX == 14 &&
              REG_RSP == 15 && REG_RIP == 16 && REG_EFL == 17);
static_assert(offsetof(ucontext_t, uc_mcontext.fpregs) == 224 && offsetof(ucontext_t, uc_sigmask) == 296);

// Below the interrupted stack pointer are 128 bytes that belong to the interrupted code (the red zone), and then the
// registers that the system call or the code after it needs. Their offsets are the same in both parts: the second part
// describes them to unwinders, for a signal may be delivered at each of its instructions.
asm(R"(
        .pushsection .text.faultline_fault, "ax", @progbits

        .globl  faultline_return_in_user_space
        .hidden faultline_return_in_user_space
        .type   faultline_return_in_user_space, @function
faultline_return_in_user_space:
        .cfi_startproc
        mov     224(%rdi), %rcx         # fpregs
        mov     472(%rcx), %eax         # the components that the kernel has saved
        mov     476(%rcx), %edx
        xrstor64 (%rcx)

        mov     160(%rdi), %rcx         # rsp
        mov     168(%rdi), %rax         # rip
        mov     %rax, -136(%rcx)
        mov     176(%rdi), %rax         # flags
        mov     %rax, -144(%rcx)
        mov     144(%rdi), %rax         # rax
        mov     %rax, -152(%rcx)
        mov     152(%rdi), %rax         # rcx
        mov     %rax, -160(%rcx)
        mov     136(%rdi), %rax         # rdx
        mov     %rax, -168(%rcx)
        mov     112(%rdi), %rax         # rsi
        mov     %rax, -176(%rcx)
        mov     104(%rdi), %rax         # rdi
        mov     %rax, -184(%rcx)
        mov     56(%rdi), %rax          # r10
        mov     %rax, -192(%rcx)
        mov     64(%rdi), %rax          # r11
        mov     %rax, -200(%rcx)
        mov     296(%rdi), %rax         # signal mask
        mov     %rax, -208(%rcx)
        mov     40(%rdi), %r8
        mov     48(%rdi), %r9
        mov     72(%rdi), %r12
        mov     80(%rdi), %r13
        mov     88(%rdi), %r14
        mov     96(%rdi), %r15
        mov     120(%rdi), %rbp
        mov     128(%rdi), %rbx
        lea     -208(%rcx), %rsp
        .cfi_endproc
        .size   faultline_return_in_user_space, .-faultline_return_in_user_space

        # Not a function: the part of the above that runs on the interrupted stack.
        .type   faultline_leave_handler, @function
faultline_leave_handler:
        .cfi_startproc
        .cfi_signal_frame
        .cfi_def_cfa %rsp, 208
        .cfi_offset %rip, -136
        .cfi_offset %rax, -152
        .cfi_offset %rcx, -160
        .cfi_offset %rdx, -168
        .cfi_offset %rsi, -176
        .cfi_offset %rdi, -184
        .cfi_offset %r10, -192
        .cfi_offset %r11, -200
        mov     $14, %eax               # rt_sigprocmask
        mov     $2, %edi                # SIG_SETMASK
        mov     %rsp, %rsi
        xor     %edx, %edx
        mov     $8, %r10d
        syscall
        test    %eax, %eax
        jnz     .Lstill_blocked
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        pop     %r11
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r11
        pop     %r10
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r10
        pop     %rdi
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rdi
        pop     %rsi
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rsi
        pop     %rdx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rdx
        pop     %rcx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rcx
        pop     %rax
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rax
        popfq
        .cfi_adjust_cfa_offset -8
        ret     $128
.Lstill_blocked:
        ud2                             # a seccomp filter refuses the call: the next fault would end the process
        .cfi_endproc
        .size   faultline_leave_handler, .-faultline_leave_handler

        .popsection
)");

namespace faultline::mmu {
namespace {

std::atomic<int> kernel_returns{0};  // living KernelReturn objects

constexpr std::uintptr_t kRedZoneBytes = 128;
constexpr std::uintptr_t kVectorAlignment = 64;  // the kernel aligns the saved vector registers so
constexpr std::uint64_t kTrapFlag = 0x100;
constexpr unsigned long kHasExtendedState = 1;  // UC_FP_XSTATE
constexpr unsigned kAutoDisarm = 1U << 31;      // SS_AUTODISARM

/// The head of struct _fpx_sw_bytes: what the kernel says about the vector registers in a signal frame.
struct SavedVectors {
    static constexpr std::size_t kAt = 464;  // in a part of the FXSAVE area that the CPU does not use
    static constexpr std::uint32_t kMark = 0x4650'5853;

    std::uint32_t mark;
    std::uint32_t bytes;
    std::uint64_t components;
};

/// Returns the end of the signal frame, or 0 if its vector registers were not saved by XSAVE.
std::uintptr_t end_of_frame(const ucontext_t& context) noexcept {
    const auto* const vectors = reinterpret_cast<const std::byte*>(context.uc_mcontext.fpregs);
    if ((context.uc_flags & kHasExtendedState) == 0 || vectors == nullptr) return 0;
    SavedVectors saved;
    std::memcpy(&saved, vectors + SavedVectors::kAt, sizeof saved);
    return saved.mark == SavedVectors::kMark ? core::address_of(vectors) + saved.bytes : 0;
}

/// Returns true if the frame ends at the red zone of the interrupted code, and not at the top of an alternate stack.
/// The copied registers then lie inside the frame, in memory that the kernel has just written.
bool is_below_interrupted_stack(const ucontext_t& context) noexcept {
    const std::uintptr_t end = end_of_frame(context);
    const auto red_zone = static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RSP]) - kRedZoneBytes;
    return end != 0 && red_zone - end < kVectorAlignment;
}

/// Returns true if the interrupted code used the segments that the handler uses.
bool has_same_segments(const ucontext_t& context) noexcept {
    std::uint16_t code = 0;
    std::uint16_t stack = 0;
    asm("mov %%cs, %0\n\tmov %%ss, %1" : "=r"(code), "=r"(stack));
    const auto saved = static_cast<std::uint64_t>(context.uc_mcontext.gregs[REG_CSGSFS]);
    return (saved & 0xffff) == code && saved >> 48 == stack;
}

/// Returns true if the CPU compares return addresses with a shadow stack, which only the kernel can put right.
bool has_shadow_stack() noexcept {
    std::uint64_t pointer = 0;
    asm volatile("rdsspq %0" : "+r"(pointer));  // leaves the register alone on other threads and CPUs
    return pointer != 0;
}

/// Returns true if the kernel saves vector registers by XSAVE.
bool uses_xsave() noexcept {
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_OSXSAVE) != 0;
}

}  // namespace

bool may_return_in_user_space(const ucontext_t& context) FAULTLINE_SIGNAL_SAFE {
    const bool single_steps = (static_cast<std::uint64_t>(context.uc_mcontext.gregs[REG_EFL]) & kTrapFlag) != 0;
    const bool disarmed = (static_cast<unsigned>(context.uc_stack.ss_flags) & kAutoDisarm) != 0;
    return is_below_interrupted_stack(context) && !single_steps && !disarmed && has_same_segments(context) &&
           !has_shadow_stack() && kernel_returns.load(std::memory_order_relaxed) == 0;
}

const char* user_return_obstacle() noexcept {
    if (!uses_xsave()) return "the CPU has no XSAVE";
    return has_shadow_stack() ? "the thread has a shadow stack" : nullptr;
}

KernelReturn::KernelReturn() noexcept { kernel_returns.fetch_add(1); }
KernelReturn::~KernelReturn() { kernel_returns.fetch_sub(1); }

}  // namespace faultline::mmu
