// Calls that the interposed functions make: answered by the library if they concern managed memory, else made
// unchanged. For calls of programs whose calls are not dispatched; Dispatch has its own road (calls.hpp).
#pragma once

#include "preload/calls.hpp"
#include "sys/syscall.hpp"

#include <cstdint>

namespace faultline::preload {

/// Makes the call and returns what the kernel returns: a value or a negated errno.
[[nodiscard]] long make_or_answer(const Call& call) noexcept;

/// Returns a system call's result as the C library's functions do: sets errno and returns -1 for an error.
[[nodiscard]] long result_of_function(long raw) noexcept;

/// Makes the call as a function of the C library: -1 and errno for an error.
[[nodiscard]] inline long call_as_function(const Call& call) noexcept {
    return result_of_function(make_or_answer(call));
}

template <typename... Arguments>
[[nodiscard]] long call_as_function(long number, Arguments... arguments) noexcept {
    return call_as_function(Call{number, {static_cast<std::uint64_t>(arguments)...}});
}

}  // namespace faultline::preload
