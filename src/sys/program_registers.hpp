// The registers with which a thread's program has made the call that the library is carrying out: from them the
// program's call stack is found inside the library, whatever stack it uses.
#pragma once

#include "core/signal_safe.hpp"

#include <ucontext.h>

namespace faultline::sys {

/// The registers (REG_RIP and others) of the call in progress; null if no call is. They may be out of date after a
/// siglongjmp out of the call: read them with copy_readable.
[[gnu::tls_model("initial-exec")]] inline constinit thread_local const greg_t* program_registers = nullptr;

/// Names the registers of a call during the object's lifetime.
class ProgramRegistersScope {
public:
    explicit ProgramRegistersScope(const greg_t* registers) noexcept : outer_{program_registers} {
        program_registers = registers;
    }
    ~ProgramRegistersScope() { program_registers = outer_; }
    ProgramRegistersScope(const ProgramRegistersScope&) = delete;
    ProgramRegistersScope& operator=(const ProgramRegistersScope&) = delete;

private:
    const greg_t* outer_;
};

/// Stores the registers by which callers are found, as they are in the function that this is inlined into, which must
/// not return while they are used. Sets the others to 0. Signal-safe.
[[gnu::always_inline]] inline void store_registers_here(gregset_t& registers) FAULTLINE_SIGNAL_SAFE {
    for (greg_t& value : registers) value = 0;
    asm volatile(
        "mov %%rbx, %0\n\tmov %%rbp, %1\n\tmov %%rsp, %2\n\tmov %%r12, %3\n\tmov %%r13, %4\n\tmov %%r14, %5\n\t"
        "mov %%r15, %6"
        : "=m"(registers[REG_RBX]), "=m"(registers[REG_RBP]), "=m"(registers[REG_RSP]), "=m"(registers[REG_R12]),
          "=m"(registers[REG_R13]), "=m"(registers[REG_R14]), "=m"(registers[REG_R15]));
    greg_t here;
    asm volatile("lea 0(%%rip), %0" : "=r"(here));
    registers[REG_RIP] = here;
}

}  // namespace faultline::sys
