// Answers system calls that change mappings (madvise, mprotect, mlock, mmap with MAP_FIXED, mremap, munmap, ...) if
// they name memory of the heap, or concern managed mappings.
// Each has the effect that the kernel has on ordinary memory, or fails with an errno. Such a call never reaches the
// kernel, which does not know swapped-out pages. Called by Dispatch, and by the interposed functions of these names
// (memory_functions.cpp).
#pragma once

#include "preload/calls.hpp"

#include <optional>

namespace faultline::preload {

/// Returns false if `answer_memory_call` would certainly return nothing. Makes no system call.
[[nodiscard]] bool concerns_managed_memory(const Call& call) noexcept;

/// Answers `call` if it concerns managed memory: returns what the kernel would return, a value or a negated errno.
/// Otherwise returns nothing, and the caller makes the call. Call inside the library (InLibrary), with the signals of
/// kHandlerMask blocked.
[[nodiscard]] std::optional<long> answer_memory_call(const Call& call) noexcept;

}  // namespace faultline::preload
