// The gate's instructions: the kernel enters here with a signal, and returns from here to the program. Between two
// programs in one thread, only these instructions may run without a valid thread pointer. Only these may make system
// calls while dispatch is on: the kernel is told their addresses (gate_begin to gate_end).
#include "guest/gate_entry.hpp"

// At a signal: rdi is the number, rsi the siginfo, rdx the context; rsp is 8 below a multiple of 16, and the handler
// returns to gate_restore.
//
// gate_pass repeats the program's call in the program's own context. A system call may destroy rcx and r11, and no
// other register. So the return address lies on the program's stack, below its red zone (the 128 bytes that the ABI
// reserves), where a signal handler of the program that interrupts the call does not write.
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
