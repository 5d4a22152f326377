// Names of the gate's instructions and of what they share with gate.cpp. For gate.cpp only.
#pragma once

#include <csignal>
#include <cstdint>

// NOLINTBEGIN: the assembler's names
extern "C" {

#pragma GCC visibility push(hidden)

// Code; not to be called.
extern const char gate_begin[];
extern const char gate_end[];
extern const char gate_pass[];                ///< Makes the call; then 8 bytes of the stack say where to go on.
extern const char gate_pass_restoring[];      ///< The same, after rdi, r10, r8 and r9, and 24 bytes more.
extern const char gate_pass_signal_return[];  ///< Makes a call that does not come back.
extern const char gate_restore[];             ///< Where gate_on_signal returns to.
extern const char gate_on_signal[];           ///< The handler of every signal that comes to the keeper.

/// Saves the caller, sets the signal mask and begins the program. Returns by gate_leave.
void gate_enter(std::uint64_t entry, std::uint64_t stack, const std::uint64_t* mask);
[[noreturn]] void gate_leave();

/// Called by gate_on_signal on the process's side.
void gate_call_keeper(int signal, siginfo_t* info, void* context);

/// Read by the kernel before each system call from outside the gate: 1, it becomes SIGSYS; 0, it is made.
extern volatile char gate_selector;
extern char gate_has_fsgsbase;  ///< The thread pointer can be changed without a system call.
extern std::uint64_t gate_host_thread_pointer;
extern std::uint64_t gate_host_stack;

#pragma GCC visibility pop
}
// NOLINTEND
