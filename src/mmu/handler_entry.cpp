#include "mmu/handler_entry.hpp"

#include "mmu/handler_stacks.hpp"

#include <ucontext.h>

#include <cstddef>

// Layouts and constants that the assembly below relies on.
static_assert(offsetof(ucontext_t, uc_stack.ss_sp) == 16 && offsetof(ucontext_t, uc_stack.ss_size) == 32);
static_assert(sizeof(siginfo_t) == 128);
static_assert(faultline::mmu::HandlerStacks::kStackBytes == 1U << 16 && faultline::mmu::HandlerStacks::kStacks == 64);
static_assert(faultline::mmu::kReportedViolation == 0x100);

// faultline_fault_move gets: rbx the stack pointer at entry, r12 the siginfo, r13 the context, r14 the number of the
// taken stack, r15 the signal. A handler called by the kernel need not preserve registers: sigreturn restores them. rbp
// keeps its value for tools that follow the chain of frames. `.cfi_signal_frame` is needed because debuggers take a
// frame on another stack for damage unless it is a signal frame.
asm(R"(
        .pushsection .text.faultline_fault, "ax", @progbits

        .macro  faultline_set_mask mask:req, old=0
        mov     $14, %eax               # rt_sigprocmask
        mov     $2, %edi                # SIG_SETMASK
        lea     \mask, %rsi
        .if     \old
        mov     %rsp, %rdx
        .else
        xor     %edx, %edx
        .endif
        mov     $8, %r10d
        syscall
        .endm

        # Gives stack r14 back. Changes r14 and what system calls change, and rdx, rsi, rdi, r10.
        .macro  faultline_give_back
        lea     faultline_handler_stacks(%rip), %rdx
        lock btr %r14, (%rdx)
        cmpl    $0, 12(%rdx)            # sleepers
        je      .Lno_sleepers\@
        lock incl 8(%rdx)               # epoch
        lea     8(%rdx), %rdi
        mov     $202, %eax              # futex
        mov     $129, %esi              # FUTEX_WAKE_PRIVATE
        mov     $1, %edx
        syscall
.Lno_sleepers\@:
        .endm

        .globl  faultline_fault_entry
        .hidden faultline_fault_entry
        .type   faultline_fault_entry, @function
faultline_fault_entry:
        .cfi_startproc
        endbr64
        mov     %rsp, %rax
        sub     16(%rdx), %rax          # the alternate stack's begin
        cmp     32(%rdx), %rax          # its size
        jae     faultline_fault_stay    # not on it
        cmp     faultline_handler_stacks+24(%rip), %rax
        jae     faultline_fault_stay    # least_room is left
        lea     8(%rsp), %rax
        cmp     %rax, %rdx
        jne     faultline_fault_called  # else the context is in the frame that the kernel returns from
        mov     %edi, %r15d
        mov     %rsi, %r12
        mov     %rdx, %r13
        # All are blocked, unless a handler of the program has jumped here.
        faultline_set_mask faultline_handler_stacks+32(%rip)
        jmp     faultline_fault_move
        .cfi_endproc
        .size   faultline_fault_entry, .-faultline_fault_entry

        # On the current stack, which has room.
        .hidden faultline_fault_stay
        .type   faultline_fault_stay, @function
faultline_fault_stay:
        .cfi_startproc
        lea     8(%rsp), %rax
        cmp     %rax, %rdx
        jne     faultline_fault_here    # called by a handler of the program, to which it returns
        push    %rdx
        .cfi_adjust_cfa_offset 8
        call    faultline_fault_here
        pop     %rdi
        .cfi_adjust_cfa_offset -8
        test    %al, %al
        jnz     faultline_return_in_user_space
        ret
        .cfi_endproc
        .size   faultline_fault_stay, .-faultline_fault_stay

        # By a handler of the program, whose registers and mask are preserved.
        .hidden faultline_fault_called
        .type   faultline_fault_called, @function
faultline_fault_called:
        .cfi_startproc
        push    %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        push    %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        push    %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        push    %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        push    %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        sub     $16, %rsp
        .cfi_adjust_cfa_offset 16
        mov     %edi, %r15d
        mov     %rsi, %r12
        mov     %rdx, %r13
        faultline_set_mask faultline_handler_stacks+32(%rip), 1
        call    faultline_fault_move
        faultline_set_mask (%rsp)
        add     $16, %rsp
        .cfi_adjust_cfa_offset -16
        pop     %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r15
        pop     %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r14
        pop     %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r13
        pop     %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore %r12
        pop     %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        ret
        .cfi_endproc
        .size   faultline_fault_called, .-faultline_fault_called

        .hidden faultline_fault_move
        .type   faultline_fault_move, @function
faultline_fault_move:
        .cfi_startproc
        .cfi_signal_frame
        mov     %rsp, %rbx
        .cfi_def_cfa_register %rbx

.Ltake: lea     faultline_handler_stacks(%rip), %r8
        mov     $-1, %r14               # else the epoch of a sleeper
.Llook: mov     (%r8), %rax
        not     %rax
        bsf     %rax, %rcx
        jz      .Lall_taken
        lock bts %rcx, (%r8)
        jc      .Llook
        test    %r14, %r14
        js      .Ltaken
        lock decl 12(%r8)
.Ltaken:
        mov     %rcx, %r14
        lea     1(%rcx), %rax
        shl     $16, %rax
        add     16(%r8), %rax
        lea     -96(%rax), %rsp         # room for the SequelData
        mov     %r15d, %edi
        mov     %r12, %rsi
        mov     %r13, %rdx
        mov     %rsp, %rcx
        call    faultline_fault_decide
        cmp     $1, %eax
        je      .Lcall_handler
        ja      .Lreport_violation
        mov     %rbx, %rsp
        faultline_give_back
        ret

.Lall_taken:
        test    %r14, %r14
        jns     .Lsleep
        lock incl 12(%r8)               # from here on, a thread that gives a stack back changes the epoch
        mov     8(%r8), %r14d
        jmp     .Llook
.Lsleep:
        mov     $202, %eax              # futex
        lea     8(%r8), %rdi
        mov     $128, %esi              # FUTEX_WAIT_PRIVATE
        mov     %r14d, %edx
        xor     %r10d, %r10d
        syscall
        mov     8(%r8), %r14d
        jmp     .Llook

.Lcall_handler:
        mov     (%rsp), %r15            # handler
        mov     8(%rsp), %r9            # mask
        mov     16(%rsp), %r8d          # signal
        mov     %rbx, %rsp
        faultline_give_back
        mov     120(%r12), %r14         # the mask is for the kernel to read at the end of the siginfo
        mov     %r9, 120(%r12)
        faultline_set_mask 120(%r12)
        mov     %r14, 120(%r12)
        mov     %r8d, %edi
        mov     %r12, %rsi
        mov     %r13, %rdx
        jmp     *%r15                   # which returns to where this was called from

.Lreport_violation:
        lea     32(%rsp), %rsi          # report
        lea     -72(%rbx), %rsp
        mov     %rsp, %rdi
        mov     $8, %ecx
        rep movsq
        faultline_give_back
        mov     %rsp, %rdi
        mov     %r13, %rsi
        call    faultline_fault_report
        mov     %rbx, %rsp
        mov     $0x100, %r15d           # kReportedViolation
        test    %al, %al
        jz      .Ltake
        ret
        .cfi_endproc
        .size   faultline_fault_move, .-faultline_fault_move

        .popsection
)");
