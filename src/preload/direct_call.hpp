// Direct calls: how interposed functions of the C library make system calls in a dispatched thread. They do what the
// handler of SIGSYS does, without the signal, which takes most of the time of a dispatched call.
// io_functions.cpp uses it. Calls that the C library makes inside itself, and bare instructions, are dispatched.
#pragma once

#include "preload/calls.hpp"

#include <cstddef>
#include <initializer_list>

namespace faultline::preload {

/// Memory that a call names.
struct NamedMemory {
    const void* address = nullptr;
    std::size_t bytes = 0;
};

/// Makes the call for the program, and returns the kernel's result. `memory`: all that the call names. The call is made
/// as it is if none of the memory is managed, or if the kernel can wait for absent pages. Calls of this library's own
/// code are made as they are, too. No cancellation point.
[[nodiscard]] long call_directly(const Call& call, std::initializer_list<NamedMemory> memory);

/// The same for a call that names memory through structures.
[[nodiscard]] long call_directly(const Call& call);

/// The same as cancellation points, as the C library makes them: a cancelled thread is unwound from where it waits.
[[nodiscard]] long call_cancellably(const Call& call, std::initializer_list<NamedMemory> memory);
[[nodiscard]] long call_cancellably(const Call& call);

}  // namespace faultline::preload
