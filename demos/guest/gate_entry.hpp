// Declares the gate's instructions and the variables that they share with gate.cpp. For gate.cpp only.
#pragma once

#include <csignal>
#include <cstdint>

// NOLINTBEGIN: the assembler's names
extern "C" {

#pragma GCC visibility push(hidden)

// Code addresses; not callable.
extern const char gate_begin[];
extern const char gate_end[];
extern const char gate_pass[];  ///< Makes the call, then returns to the address in the next 8 bytes of the stack.
extern const char gate_pass_restoring[];      ///< The same; then restores rdi, r10, r8 and r9, and skips 24 bytes more.
extern const char gate_pass_signal_return[];  ///< Makes rt_sigreturn, which does not return here.
extern const char gate_restore[];             ///< The restorer: gate_on_signal returns to it.
extern const char gate_on_signal[];           ///< The handler of every signal for the keeper.

/// Saves the caller's registers, sets the signal mask and starts the program. Returns when gate_leave is called.
void gate_enter(std::uint64_t entry, std::uint64_t stack, const std::uint64_t* mask);
[[noreturn]] void gate_leave();

/// Called by gate_on_signal with the process's thread pointer.
void gate_call_keeper(int signal, siginfo_t* info, void* context);

/// The kernel reads it before each system call from outside the gate. 1: the call becomes SIGSYS. 0: the call is made.
extern volatile char gate_selector;
extern char gate_has_fsgsbase;  ///< True if the thread pointer can be changed without a system call.
extern std::uint64_t gate_host_thread_pointer;
extern std::uint64_t gate_host_stack;

#pragma GCC visibility pop
}
// NOLINTEND
