# Raises the break in steps of 4096 bytes up to 64 MiB, and writes each page's number into it. Then it checks every page
# and lowers the break in the same steps. Exit code 0: every page held its number.
#include <sys/syscall.h>

        .equ    PAGE, 4096
        .equ    PAGES, 16384

        .globl  _start
        .text
_start: xor     %edi, %edi
        mov     $SYS_brk, %eax
        syscall
        mov     %rax, %r12              # where the heap begins

        xor     %ebx, %ebx              # pages so far
        mov     %r12, %r13              # the break
grow:   lea     PAGE(%r13), %rdi
        mov     %rdi, %r14
        mov     $SYS_brk, %eax
        syscall
        cmp     %r14, %rax
        jne     fail
        cmpq    $0, (%r13)              # a new page is zeros
        jne     fail
        mov     %rbx, (%r13)
        mov     %rbx, PAGE-8(%r13)
        mov     %r14, %r13
        inc     %ebx
        cmp     $PAGES, %ebx
        jne     grow

        xor     %ebx, %ebx
        mov     %r12, %rdi
check:  cmp     %rbx, (%rdi)
        jne     fail
        cmpq    $0, 8(%rdi)
        jne     fail
        cmp     %rbx, PAGE-8(%rdi)
        jne     fail
        add     $PAGE, %rdi
        inc     %ebx
        cmp     $PAGES, %ebx
        jne     check

shrink: lea     -PAGE(%r13), %rdi
        mov     %rdi, %r14
        mov     $SYS_brk, %eax
        syscall
        cmp     %r14, %rax
        jne     fail
        mov     %r14, %r13
        cmp     %r12, %r13
        jne     shrink

        mov     $1, %edi
        lea     text(%rip), %rsi
        mov     $text_end - text, %edx
        mov     $SYS_write, %eax
        syscall
        xor     %edi, %edi
leave:  mov     $SYS_exit_group, %eax
        syscall
fail:   mov     $1, %edi
        jmp     leave

        .section .rodata
text:   .ascii  "16384 pages grown, checked and given back\n"
text_end:

        .section .note.GNU-stack, "", @progbits
