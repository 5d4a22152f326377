# Reads the break, raises it by 4 bytes, stores "HI\n" there and writes it to standard output: the minimum use of brk.
#include <sys/syscall.h>

        .globl  _start
        .text
_start: xor     %edi, %edi
        mov     $SYS_brk, %eax
        syscall
        mov     %rax, %rbx              # the break
        lea     4(%rbx), %rdi
        mov     $SYS_brk, %eax
        syscall
        lea     4(%rbx), %rcx
        cmp     %rcx, %rax
        jne     fail
        movl    $0x000a4948, (%rbx)     # "HI\n"
        mov     $1, %edi
        mov     %rbx, %rsi
        mov     $3, %edx
        mov     $SYS_write, %eax
        syscall
        cmp     $3, %rax
        jne     fail
        xor     %edi, %edi
leave:  mov     $SYS_exit_group, %eax
        syscall
fail:   mov     $1, %edi
        jmp     leave

        .section .note.GNU-stack, "", @progbits
