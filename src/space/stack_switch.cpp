#include "space/stack_switch.hpp"

#include "space/sanitizer_switch.hpp"

#if !defined(__x86_64__)
#error "stack switching is implemented for x86-64 only"
#endif

// bool faultline_call_on_stack(void (*entry)(void*), void* argument, void* top, SwitchPoint* point)
//
// Calls entry(argument) on the stack that ends at `top`, and returns true when entry returns. It saves what an
// abandoned call needs: rbx, r12 to r15 and the floating point control words, below rbp. faultline_enter_stack then
// changes the stack.
//
// An abandoned call continues at faultline_leave_stack, with rsp and rbp from the point; the function then returns
// false. fninit drops what the abandoned code had on the x87 stack. abandon_call clears the direction flag.
//
// The unwinder finds both frames through rbp, so it walks from one stack to the other as through any function. The
// inner frame is marked as a signal frame, which keeps gdb from objecting that the stack goes the wrong way. It is a
// function of its own because unwinders take the caller's address in a signal frame as exact: they would not find the
// landing pads of a caller.
asm(R"(
    .text
    .p2align 4
    .type faultline_enter_stack, @function
faultline_enter_stack:
    .cfi_startproc
    .cfi_signal_frame
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    movq %rdi, %rax
    movq %rsi, %rdi
    movq %rdx, %rsp
    callq *%rax
    movq %rbp, %rsp
    popq %rbp
    .cfi_def_cfa %rsp, 8
    ret
    .cfi_endproc
    .size faultline_enter_stack, . - faultline_enter_stack

    .p2align 4
    .globl faultline_call_on_stack
    .hidden faultline_call_on_stack
    .type faultline_call_on_stack, @function
faultline_call_on_stack:
    .cfi_startproc
    pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register %rbp
    pushq %rbx
    .cfi_offset %rbx, -24
    pushq %r12
    .cfi_offset %r12, -32
    pushq %r13
    .cfi_offset %r13, -40
    pushq %r14
    .cfi_offset %r14, -48
    pushq %r15
    .cfi_offset %r15, -56
    subq $8, %rsp
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq %rbp, (%rcx)
    movq %rsp, 8(%rcx)
    callq faultline_enter_stack
    movl $1, %eax
    jmp 1f

    .globl faultline_leave_stack
    .hidden faultline_leave_stack
faultline_leave_stack:
    fninit
    fldcw 4(%rsp)
    ldmxcsr (%rsp)
    xorl %eax, %eax

1:
    addq $8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    .cfi_def_cfa %rsp, 8
    ret
    .cfi_endproc
    .size faultline_call_on_stack, . - faultline_call_on_stack
)");

extern "C" {
bool faultline_call_on_stack(void (*entry)(void*), void* argument, void* top, faultline::space::SwitchPoint* point);
void faultline_leave_stack();
}

namespace faultline::space {
namespace {

struct Call {
    void (*entry)(void*);
    void* argument;
    SanitizerSwitch& sanitizer;
};

/// The first function on the other stack.
void begin(void* call) {
    const Call& mine = *static_cast<const Call*>(call);
    mine.sanitizer.arrived();
    mine.entry(mine.argument);
    mine.sanitizer.leaving();
}

}  // namespace

CallEnd call_on_stack(StackBounds stack, void (*entry)(void*), void* argument, SwitchPoint& point) {
    SanitizerSwitch sanitizer{stack.bottom, stack.bytes};  // its destructor runs on this stack, however the call ends
    Call call{entry, argument, sanitizer};
    return faultline_call_on_stack(&begin, &call, stack.top(), &point) ? CallEnd::returned : CallEnd::abandoned;
}

void abandon_call(ucontext_t& context, const SwitchPoint& point) FAULTLINE_SIGNAL_SAFE {
    constexpr greg_t kDirection = 1 << 10;
    constexpr greg_t kAlignmentCheck = 1 << 18;
    auto& registers = context.uc_mcontext.gregs;
    registers[REG_RIP] = reinterpret_cast<greg_t>(&faultline_leave_stack);
    registers[REG_RSP] = reinterpret_cast<greg_t>(point.stack_pointer);
    registers[REG_RBP] = reinterpret_cast<greg_t>(point.frame);
    registers[REG_EFL] &= ~(kDirection | kAlignmentCheck);
}

}  // namespace faultline::space
