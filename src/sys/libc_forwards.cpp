// This file is compiled so that the compiler adds no calls of memcpy, strlen or the like (src/CMakeLists.txt): these
// may be forwards.

#include "sys/libc_forwards.hpp"

#include "sys/loaded_object.hpp"
#include "sys/syscall.hpp"

// Binds all forwards and preserves the registers that hold arguments.
asm(R"(
        .pushsection .text
        .globl  faultline_bind_forwards
        .hidden faultline_bind_forwards
        .type   faultline_bind_forwards, @function
        .p2align 4
faultline_bind_forwards:
        push    %rbp
        mov     %rsp, %rbp
        and     $-16, %rsp
        sub     $192, %rsp
        movaps  %xmm0, (%rsp)
        movaps  %xmm1, 16(%rsp)
        movaps  %xmm2, 32(%rsp)
        movaps  %xmm3, 48(%rsp)
        movaps  %xmm4, 64(%rsp)
        movaps  %xmm5, 80(%rsp)
        movaps  %xmm6, 96(%rsp)
        movaps  %xmm7, 112(%rsp)
        mov     %rax, 128(%rsp)
        mov     %rdi, 136(%rsp)
        mov     %rsi, 144(%rsp)
        mov     %rdx, 152(%rsp)
        mov     %rcx, 160(%rsp)
        mov     %r8, 168(%rsp)
        mov     %r9, 176(%rsp)
        mov     %r10, 184(%rsp)
        call    faultline_bind_all_forwards
        movaps  (%rsp), %xmm0
        movaps  16(%rsp), %xmm1
        movaps  32(%rsp), %xmm2
        movaps  48(%rsp), %xmm3
        movaps  64(%rsp), %xmm4
        movaps  80(%rsp), %xmm5
        movaps  96(%rsp), %xmm6
        movaps  112(%rsp), %xmm7
        mov     128(%rsp), %rax
        mov     136(%rsp), %rdi
        mov     144(%rsp), %rsi
        mov     152(%rsp), %rdx
        mov     160(%rsp), %rcx
        mov     168(%rsp), %r8
        mov     176(%rsp), %r9
        mov     184(%rsp), %r10
        leave
        ret
        .size   faultline_bind_forwards, . - faultline_bind_forwards
        .popsection
)");

// The bounds of the table, defined by the linker. Null in a program that is linked with the static library.
extern "C" {  // NOLINTBEGIN(bugprone-reserved-identifier): the linker's names
[[gnu::weak, gnu::visibility("hidden")]] extern faultline::sys::LibcForward __start_faultline_forwards[];
[[gnu::weak, gnu::visibility("hidden")]] extern faultline::sys::LibcForward __stop_faultline_forwards[];

[[gnu::used, gnu::visibility("hidden")]] void faultline_bind_all_forwards() noexcept {
    faultline::sys::bind_to_libc(__start_faultline_forwards, __stop_faultline_forwards);
}
}  // NOLINTEND(bugprone-reserved-identifier)

namespace faultline::sys {
namespace {

/// Replaces a function that this C library, older than the one at compile time, does not have.
[[noreturn]] void end_for_want_of_function() noexcept {
    static constexpr char kMessage[] = "faultline: this C library is older than the one that faultline was built for\n";
    raw_syscall(SYS_write, 2, syscall_argument(&kMessage[0]), sizeof kMessage - 1);
    for (;;) raw_syscall(SYS_exit_group, 127);
}

}  // namespace

void bind_to_libc(LibcForward* begin, const LibcForward* end) FAULTLINE_SIGNAL_SAFE {
    const LoadedObject libc = LoadedObject::named("libc.so.6");
    for (LibcForward* forward = begin; forward != end; ++forward) {
        const void* found = libc.function(forward->name);
        // Before glibc 2.34 the thread functions were in libraries of their own.
        if (found == nullptr) found = LoadedObject::named("libpthread.so.0").function(forward->name);
        if (found == nullptr) found = LoadedObject::named("libdl.so.2").function(forward->name);
        if (found == nullptr) found = reinterpret_cast<const void*>(&end_for_want_of_function);
        __atomic_store_n(&forward->target, const_cast<void*>(found), __ATOMIC_RELEASE);
    }
}

}  // namespace faultline::sys
