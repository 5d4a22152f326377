// Binds calls of C library functions to the C library. A program may export a function with the name of one (perf
// exports sched_getcpu). The dynamic loader then binds the calls of every library to the program's function.
//
// A source file that is linked into one shared library, and nowhere else, lists the functions:
//
//     FAULTLINE_FORWARD(memcpy)
//
// Each becomes a hidden function that jumps to the C library's function. The first call of any of them binds all. The
// jump does not change arguments, stack or return address. So even dlsym can be forwarded, which examines its caller.
#pragma once

#include "core/signal_safe.hpp"

namespace faultline::sys {

/// The name of a forwarded function and the target of its calls.
struct LibcForward {
    const char* name;
    void* target;
};

/// Binds each forward to the C library's own function, whatever the program and other libraries export.
void bind_to_libc(LibcForward* begin, const LibcForward* end) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::sys

asm(R"(
        .macro faultline_forward name
        .pushsection .text
        .globl  \name
        .hidden \name
        .type   \name, @function
        .p2align 4
\name:
        endbr64
        jmp     *.Lfaultline_target_\name(%rip)
.Lfaultline_first_\name:
        call    faultline_bind_forwards
        jmp     *.Lfaultline_target_\name(%rip)
        .size   \name, . - \name
        .popsection
        .pushsection .rodata.str1.1, "aMS", @progbits, 1
.Lfaultline_name_\name:
        .string "\name"
        .popsection
        .pushsection faultline_forwards, "aw", @progbits
        .quad   .Lfaultline_name_\name
.Lfaultline_target_\name:
        .quad   .Lfaultline_first_\name
        .popsection
        .endm
)");

// NOLINTNEXTLINE: it cannot be a function
#define FAULTLINE_FORWARD(name) asm("faultline_forward " #name);
