#include "preload/call_entry.hpp"

#include "core/units.hpp"
#include "sys/syscall.hpp"

#include <cstring>

asm(R"(
        .pushsection .text.faultline_preload, "ax", @progbits

        .globl  faultline_preload_enter
        .hidden faultline_preload_enter
        .type   faultline_preload_enter, @function
faultline_preload_enter:
        .cfi_startproc
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    faultline_preload_to_library
        lea     8(%rsp), %rdi
        call    faultline_preload_move_frame
        lea     -8(%rax), %rsp
        mov     $31, %edi               # SIGSYS
        lea     320(%rsp), %rsi         # its siginfo
        lea     16(%rsp), %rdx          # its context
        call    faultline_preload_handle
        call    faultline_preload_to_program
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   faultline_preload_enter, .-faultline_preload_enter

        .globl  faultline_preload_call_on
        .hidden faultline_preload_call_on
        .type   faultline_preload_call_on, @function
faultline_preload_call_on:
        .cfi_startproc
        push    %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        push    %rbx
        .cfi_offset %rbx, -24
        push    %r12
        .cfi_offset %r12, -32
        push    %r13
        .cfi_offset %r13, -40
        sub     $8, %rsp
        mov     %rdi, %rbx
        mov     %rdx, %r12
        call    faultline_preload_to_program
        test    %rsi, %rsi
        cmovz   %rsp, %rsi
        mov     %rsi, %rsp
        mov     $14, %eax               # rt_sigprocmask
        mov     $2, %edi                # SIG_SETMASK
        mov     %r12, %rsi
        xor     %edx, %edx
        mov     $8, %r10d
        syscall
        mov     (%rbx), %rax
        mov     8(%rbx), %rdi
        mov     16(%rbx), %rsi
        mov     24(%rbx), %rdx
        mov     32(%rbx), %r10
        mov     40(%rbx), %r8
        mov     48(%rbx), %r9
        syscall
        mov     %rax, %r13
        mov     $14, %eax
        mov     $2, %edi
        lea     8(%r12), %rsi
        xor     %edx, %edx
        mov     $8, %r10d
        syscall
        lea     -32(%rbp), %rsp
        call    faultline_preload_to_library
        mov     %r13, %rax
        lea     -24(%rbp), %rsp
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   faultline_preload_call_on, .-faultline_preload_call_on

        .popsection
)");

namespace faultline::preload {
namespace {

/// The frame that the kernel pushes for a signal: the return address of the handler, the context, the siginfo. The
/// state of the vector registers lies above the frame; the context points to it.
struct SignalFrame {
    std::uint64_t restorer;
    std::byte context[304];
    siginfo_t info;
};
static_assert(sizeof(SignalFrame) == 440 && offsetof(SignalFrame, info) == 312);

constexpr std::uint64_t kVectorAlignment = 64;
constexpr std::size_t kPlainVectorBytes = 512;  // size of the FXSAVE area

std::size_t vector_bytes(const void* state) noexcept {
    constexpr std::size_t kMarkAt = 464;  // struct _fpx_sw_bytes, in a part of FXSAVE that the CPU does not use
    constexpr std::uint32_t kMark = 0x4650'5853;
    std::uint32_t words[2];
    std::memcpy(&words, static_cast<const std::byte*>(state) + kMarkAt, sizeof words);
    return words[0] == kMark ? words[1] : kPlainVectorBytes;
}

bool is_on(const stack_t& stack, std::uint64_t stack_pointer) noexcept {
    return (stack.ss_flags & SS_DISABLE) == 0 && stack_pointer - core::address_of(stack.ss_sp) - 1 < stack.ss_size;
}

/// Returns true if the call is handled at once, without running code of the program meanwhile.
bool stays(const siginfo_t& info, const Call& call) noexcept {
    if (info.si_code != kSystemCallDispatched) return true;
    switch (call.number) {
        case SYS_rt_sigreturn:
        case SYS_rt_sigprocmask:
        case SYS_rt_sigaction:
        case SYS_clone:
        case SYS_clone3:
        case SYS_vfork:
        case SYS_exit:
        case SYS_exit_group:
            return true;
        default:
            return false;
    }
}

/// Returns the slot of the calling thread that contains the address, or null.
CallStacks::Slot* slot_with(const void* address) noexcept {
    return this_thread.stacks != nullptr ? this_thread.stacks->slot_of(address) : nullptr;
}

/// Copies a frame to a stack, below its top. Returns the address of the copy.
SignalFrame* copy_to(std::uint64_t top, const SignalFrame& frame) noexcept {
    ucontext_t context;
    std::memcpy(&context, frame.context, sizeof frame.context);
    std::uint64_t at = top;
    void* vectors = context.uc_mcontext.fpregs;
    if (vectors != nullptr) {
        const std::size_t bytes = vector_bytes(vectors);
        at = core::align_down(at - bytes, kVectorAlignment);
        std::memcpy(reinterpret_cast<void*>(at), vectors, bytes);
        vectors = reinterpret_cast<void*>(at);
    }
    at = core::align_down<std::uint64_t>(at - sizeof(SignalFrame), 16) - 8;  // aligned as after a call instruction
    auto* const moved = reinterpret_cast<SignalFrame*>(at);
    std::memcpy(moved, &frame, sizeof frame);
    std::memcpy(moved->context + offsetof(ucontext_t, uc_mcontext.fpregs), &vectors, sizeof vectors);
    return moved;
}

}  // namespace

Call call_in(const ucontext_t& context) noexcept {
    const auto& registers = context.uc_mcontext.gregs;
    const auto at = [&](int name) { return static_cast<std::uint64_t>(registers[name]); };
    return {static_cast<long>(registers[REG_RAX]),
            {at(REG_RDI), at(REG_RSI), at(REG_RDX), at(REG_R10), at(REG_R8), at(REG_R9)}};
}

ucontext_t& copy_frame(const ucontext_t& context, std::uint64_t top) noexcept {
    const auto begin = core::address_of(&context) - offsetof(SignalFrame, context);
    return *reinterpret_cast<ucontext_t*>(copy_to(top, *reinterpret_cast<const SignalFrame*>(begin))->context);
}

std::size_t frame_bytes(const ucontext_t& context) noexcept {
    const void* const vectors = context.uc_mcontext.fpregs;
    return sizeof(SignalFrame) + (vectors != nullptr ? vector_bytes(vectors) : 0) + 2 * kVectorAlignment;
}

CallScope::CallScope(const ucontext_t& context) noexcept : CallScope{slot_with(&context)} {}

CallScope::CallScope(CallStacks::Slot* slot) noexcept
    : slot_{slot}, outer_stack_{this_thread.call_stack}, outer_resources_{this_thread.resources} {
    this_thread.call_stack = slot_ != nullptr ? slot_->mark() : 0;
    this_thread.resources = slot_ != nullptr ? &slot_->resources() : &resources_;
}

CallScope::~CallScope() {
    this_thread.call_stack = outer_stack_;
    this_thread.resources = outer_resources_;
    if (slot_ != nullptr) slot_->release();
}

}  // namespace faultline::preload

using namespace faultline::preload;

extern "C" {

/// Returns the frame for the handler to use: a copy on a slot, or `frame` itself. Stays on an alternate stack that the
/// program has set: otherwise the next fault would start at its top and overwrite handlers of the program there.
[[gnu::visibility("hidden"), gnu::used]] SignalFrame* faultline_preload_move_frame(SignalFrame* frame) noexcept {
    ucontext_t context;
    std::memcpy(&context, frame->context, sizeof frame->context);
    const auto stack_pointer = static_cast<std::uint64_t>(context.uc_mcontext.gregs[REG_RSP]);
    CallStacks* const stacks = this_thread.stacks;
    if (stacks == nullptr || stays(frame->info, call_in(context)) || is_on(context.uc_stack, stack_pointer))
        return frame;
    CallStacks::Slot* const slot = stacks->claim(stack_pointer);
    return slot != nullptr ? copy_to(slot->top(), *frame) : frame;
}

[[gnu::visibility("hidden"), gnu::used]] void faultline_preload_handle(int signal, siginfo_t* info, void* context) {
    on_call(signal, info, context);
}
}
