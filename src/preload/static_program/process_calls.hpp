// ProcessCalls: the system calls of a static program that this library answers in its own way, because the program
// brings a C library of its own: threads, forks, the FS register, the break, the link to the program's file.
#pragma once

#include "preload/calls.hpp"

#include <ucontext.h>

#include <optional>

namespace faultline::preload {

class ProcessCalls {
public:
    /// Returns true if `answer` makes the call although the call creates a child in the same memory.
    [[nodiscard]] static bool creates_thread(const Call& call) noexcept;

    /// Answers the call; nothing if it is made as every other program's. `context`: the caller's; changed if the caller
    /// is to continue elsewhere. `call`: changed if the kernel is to make another call. Call inside the library, with
    /// the signals of kHandlerMask blocked.
    [[nodiscard]] static std::optional<long> answer(ucontext_t& context, Call& call) noexcept;
};

}  // namespace faultline::preload
