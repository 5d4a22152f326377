#include "preload/foreign_tls.hpp"

#include "sys/syscall.hpp"

#include <asm/prctl.h>

extern "C" {
/// 0: FS is never switched.
[[gnu::visibility("hidden"), gnu::used]] constinit unsigned char faultline_preload_switches_fs = 0;

[[gnu::visibility("hidden"), gnu::used,
  gnu::tls_model("initial-exec")]] constinit thread_local std::uint64_t faultline_preload_program_base = 0;

/// Whether FS is the library's. Not every CPU has an instruction that reads FS.
[[gnu::visibility("hidden"), gnu::used,
  gnu::tls_model("initial-exec")]] constinit thread_local unsigned char faultline_preload_in_library = 1;
}

// Thread-local variables of the library are read by GS where FS may be the program's. %gs:0 is the address that GS
// holds: the C library keeps it there. The system calls below lie in this library, so they are not dispatched.
asm(R"(
        .pushsection .text.faultline_preload, "ax", @progbits

        .macro  faultline_set_fs
        push    %rdi
        push    %rsi
        push    %r11
        mov     %rax, %rsi
        mov     $158, %eax              # arch_prctl
        mov     $0x1002, %edi           # ARCH_SET_FS
        syscall
        pop     %r11
        pop     %rsi
        pop     %rdi
        .endm

        .globl  faultline_preload_from_program
        .hidden faultline_preload_from_program
        .type   faultline_preload_from_program, @function
faultline_preload_from_program:
        .cfi_startproc
        cmpb    $0, faultline_preload_switches_fs(%rip)
        je      faultline_preload_to_library
        mov     faultline_preload_in_library@gottpoff(%rip), %rax
        movb    $0, %gs:(%rax)
        .cfi_endproc
        .size   faultline_preload_from_program, .-faultline_preload_from_program

        .globl  faultline_preload_to_library
        .hidden faultline_preload_to_library
        .type   faultline_preload_to_library, @function
faultline_preload_to_library:
        .cfi_startproc
        cmpb    $0, faultline_preload_switches_fs(%rip)
        je      1f
        mov     faultline_preload_in_library@gottpoff(%rip), %rax
        cmpb    $0, %gs:(%rax)
        jne     1f
        movb    $1, %gs:(%rax)
        mov     %gs:0, %rax
        faultline_set_fs
1:      ret
        .cfi_endproc
        .size   faultline_preload_to_library, .-faultline_preload_to_library

        .globl  faultline_preload_to_program
        .hidden faultline_preload_to_program
        .type   faultline_preload_to_program, @function
faultline_preload_to_program:
        .cfi_startproc
        cmpb    $0, faultline_preload_switches_fs(%rip)
        je      1f
        mov     faultline_preload_program_base@gottpoff(%rip), %rax
        mov     %fs:(%rax), %rax
        mov     faultline_preload_in_library@gottpoff(%rip), %rcx
        movb    $0, %fs:(%rcx)
        faultline_set_fs
1:      ret
        .cfi_endproc
        .size   faultline_preload_to_program, .-faultline_preload_to_program

        # A fault of the library itself (it brings in a page of the program) has the library's FS already.
        .globl  faultline_preload_fault_entry
        .hidden faultline_preload_fault_entry
        .type   faultline_preload_fault_entry, @function
faultline_preload_fault_entry:
        .cfi_startproc
        mov     faultline_preload_in_library@gottpoff(%rip), %rax
        cmpb    $0, %gs:(%rax)
        jne     faultline_fault_entry
        sub     $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    faultline_preload_to_library
        call    faultline_fault_entry
        call    faultline_preload_to_program
        add     $8, %rsp
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   faultline_preload_fault_entry, .-faultline_preload_fault_entry

        .macro  faultline_block mask:req
        mov     $14, %eax               # rt_sigprocmask
        mov     $2, %edi                # SIG_SETMASK
        lea     \mask, %rsi
        xor     %edx, %edx
        mov     $8, %r10d
        syscall
        .endm

        .globl  faultline_preload_call_as_program
        .hidden faultline_preload_call_as_program
        .type   faultline_preload_call_as_program, @function
faultline_preload_call_as_program:
        .cfi_startproc
        push    %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_offset %rbp, -16
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        push    %rbx
        .cfi_offset %rbx, -24
        push    %r12
        .cfi_offset %r12, -32
        push    %r13
        .cfi_offset %r13, -40
        push    %r14
        .cfi_offset %r14, -48
        push    %r8                     # the mask
        push    $-1                     # all signals
        mov     %rdi, %rbx
        mov     %esi, %r12d
        mov     %rdx, %r13
        mov     %rcx, %r14
        call    faultline_preload_to_program
        faultline_block 8(%rsp)
        mov     %r12d, %edi
        mov     %r13, %rsi
        mov     %r14, %rdx
        call    *%rbx
        faultline_block (%rsp)
        call    faultline_preload_to_library
        lea     -32(%rbp), %rsp
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   faultline_preload_call_as_program, .-faultline_preload_call_as_program

        .popsection
)");

namespace faultline::preload {

void ForeignTls::start() noexcept {
    faultline_preload_switches_fs = 1;
    begin_thread();
}

bool ForeignTls::active() noexcept { return faultline_preload_switches_fs != 0; }

void ForeignTls::begin_thread() noexcept {
    std::uint64_t base = 0;
    asm volatile("mov %%fs:0, %0" : "=r"(base));
    static_cast<void>(sys::raw_syscall(SYS_arch_prctl, ARCH_SET_GS, base));  // cannot fail: the address is valid
}

std::uint64_t ForeignTls::program_base() noexcept { return faultline_preload_program_base; }

void ForeignTls::set_program_base(std::uint64_t base) noexcept { faultline_preload_program_base = base; }

}  // namespace faultline::preload
