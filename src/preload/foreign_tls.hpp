// ForeignTls: this library's thread-local storage in a program that brings a C library of its own (a static program).
// Such a program points the FS register at its own thread-local storage. This library's code needs the storage that its
// own C library made for the thread. The GS register, which programs for Linux do not use, holds the address of the
// library's storage. Each entry of a handler switches FS to it, and each return to the program switches FS back, by
// arch_prctl(2):
//
//     program (FS: its own) -> signal -> to_library -> handler (FS = GS) -> to_program -> program
//
// In a program that shares the library's C library all of this does nothing.
#pragma once

#include <csignal>
#include <cstdint>

namespace faultline::preload {

class ForeignTls {
public:
    /// Starts to switch, from now on and for all threads. Call once, while the process has one thread.
    static void start() noexcept;

    [[nodiscard]] static bool active() noexcept;

    /// Remembers the current value of FS as the library's for the calling thread. Call in each new thread.
    static void begin_thread() noexcept;

    /// The program's value of FS for the calling thread, which the next return to the program sets. Signal-safe.
    [[nodiscard]] static std::uint64_t program_base() noexcept;
    static void set_program_base(std::uint64_t base) noexcept;
};

}  // namespace faultline::preload

extern "C" {

/// Switch FS in assembly code. They change rax, rcx and the flags only, and need 32 bytes of stack. Call with all
/// signals blocked but those of faults. to_library does nothing if FS is the library's already. from_program is
/// to_library where FS is known to be the program's: after a child that shared this thread's storage was killed.
void faultline_preload_to_library();
void faultline_preload_from_program();
void faultline_preload_to_program();

/// Handles the signal of faults: faultline_fault_entry, with the library's FS.
void faultline_preload_fault_entry(int signal, siginfo_t* info, void* context);

/// Calls a signal handler of the program with the program's FS and the signal mask `mask`. The handler may leave by
/// siglongjmp. Call with all signals blocked; returns so.
void faultline_preload_call_as_program(void (*handler)(int, siginfo_t*, void*), int signal, siginfo_t* info,
                                       void* context, std::uint64_t mask);
}
