// The instructions of the gate: where the kernel comes in with a signal and goes back to the program. Between two
// programs in one thread, only these may not assume a thread pointer, and only these may make system calls while the
// dispatch blocks them: the kernel is told their addresses (gate_begin to gate_end).
#include "guest/gate_entry.hpp"

// Registers at a signal: rdi number, rsi siginfo, rdx context, rsp 8 below a multiple of 16; it returns to
// gate_restore.
//
// The program's call is repeated by gate_pass in its own context. rcx and r11 are the call's to destroy, and so is
// nothing else: the way back lies on the program's stack, below the 128 bytes that are its own (the ABI's red zone),
// where a handler of the program's that interrupts the call will not write.
asm(R"(
        .pushsection .text.faultline_gate, "ax", @progbits
        .globl  gate_begin, gate_end, gate_pass, gate_pass_restoring, gate_pass_signal_return, gate_restore
        .globl  gate_on_signal, gate_enter, gate_leave
        .hidden gate_begin, gate_end, gate_pass, gate_pass_restoring, gate_pass_signal_return, gate_restore
        .hidden gate_on_signal, gate_enter, gate_leave
gate_begin:

gate_pass:
        syscall
        ret     $128

gate_pass_restoring:
        syscall
        pop     %rdi
        pop     %r10
        pop     %r8
        pop     %r9
        ret     $128 + 24

gate_pass_signal_return:
        syscall
        ud2

gate_restore:
        mov     $15, %eax
        syscall
        ud2

        .p2align 4
gate_on_signal:
        push    %rbx
        push    %r12
        push    %rdi
        push    %rsi
        push    %rdx
        cmpb    $0, gate_has_fsgsbase(%rip)
        je      1f
        rdfsbase %rbx
        mov     gate_host_thread_pointer(%rip), %rax
        wrfsbase %rax
        jmp     2f
1:      sub     $16, %rsp
        mov     $158, %eax
        mov     $0x1003, %edi
        mov     %rsp, %rsi
        syscall
        mov     (%rsp), %rbx
        add     $16, %rsp
        mov     $158, %eax
        mov     $0x1002, %edi
        mov     gate_host_thread_pointer(%rip), %rsi
        syscall
2:      movb    $0, gate_selector(%rip)
        pop     %rdx
        pop     %rsi
        pop     %rdi
        sub     $8, %rsp
        call    gate_call_keeper
        add     $8, %rsp
        movb    $1, gate_selector(%rip)
        cmpb    $0, gate_has_fsgsbase(%rip)
        je      3f
        wrfsbase %rbx
        jmp     4f
3:      mov     $158, %eax
        mov     $0x1002, %edi
        mov     %rbx, %rsi
        syscall
4:      pop     %r12
        pop     %rbx
        ret

        .p2align 4
gate_enter:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, gate_host_stack(%rip)
        mov     %rdi, %r12
        mov     %rsi, %r13
        mov     $14, %eax
        mov     $2, %edi
        mov     %rdx, %rsi
        xor     %edx, %edx
        mov     $8, %r10d
        syscall
        mov     $158, %eax
        mov     $0x1002, %edi
        xor     %esi, %esi
        syscall
        movb    $1, gate_selector(%rip)
        mov     %r13, %rsp
        push    %r12
        xor     %eax, %eax
        xor     %ebx, %ebx
        xor     %ecx, %ecx
        xor     %edx, %edx
        xor     %esi, %esi
        xor     %edi, %edi
        xor     %ebp, %ebp
        xor     %r8d, %r8d
        xor     %r9d, %r9d
        xor     %r10d, %r10d
        xor     %r11d, %r11d
        xor     %r12d, %r12d
        xor     %r13d, %r13d
        xor     %r14d, %r14d
        xor     %r15d, %r15d
        ret

gate_leave:
        mov     gate_host_stack(%rip), %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

gate_end:
        .popsection
)");
