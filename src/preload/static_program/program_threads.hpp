// ProgramThreads: the threads of a static program. A thread of the program is a thread of this library's C library:
// that gives it thread-local storage for the library's code. So the clone call of the program is not made; the library
// creates a thread, which then continues after the call, on the stack and with the FS that the program named.
// The thread ends through the C library, too. What the kernel does for the program at the end of a thread is done here:
// robust mutexes, and the word that joining threads wait for.
#pragma once

#include "preload/calls.hpp"

#include <ucontext.h>

#include <cstdint>

namespace faultline::preload {

/// Call the functions inside the library, with the signals of kHandlerMask blocked.
class ProgramThreads {
public:
    /// Returns true if the call creates a thread of the calling process.
    [[nodiscard]] static bool is_creation(const Call& call) noexcept;

    /// Creates the thread that the call asks for. Returns its id or a negated errno. `context`: the caller's, of the
    /// handler. EINVAL: the call has flags of which a thread has none.
    [[nodiscard]] static long create(const ucontext_t& context, const Call& call) noexcept;

    /// Ends the calling thread: changes `context` so that the thread leaves through the C library. Returns false if the
    /// kernel must end the thread: it is the process's first. The last thread ends the process with `code`.
    [[nodiscard]] static bool end(ucontext_t& context, std::uint64_t code) noexcept;

    /// Does what set_tid_address(2) does for the calling thread.
    [[nodiscard]] static long set_id_address(std::uint64_t address) noexcept;

    /// In the child of a fork: the calling thread is the first of a process.
    static void start_in_child() noexcept;
};

}  // namespace faultline::preload
