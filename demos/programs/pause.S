# Pauses until a signal ends it.
#include <sys/syscall.h>

        .globl  _start
        .text
_start: mov     $SYS_pause, %eax
        syscall
        jmp     _start

        .section .note.GNU-stack, "", @progbits
