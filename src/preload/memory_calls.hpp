// System calls that change mappings (madvise, mprotect, mlock, mmap with MAP_FIXED, mremap, munmap, ...) where they
// name memory of the managed heap. Each does there what the kernel does to ordinary memory, or fails with an errno; it
// never reaches the kernel, which knows nothing of pages that are swapped out. Called by the dispatch of system calls,
// and by the C library's functions of these names (memory_functions.cpp).
#pragma once

#include "preload/calls.hpp"

#include <optional>

namespace faultline::preload {

/// Whether the answer below may be one. Costs no system call.
[[nodiscard]] bool concerns_heap(const Call& call) noexcept;

/// Answers `call` where it concerns managed memory: returns what the kernel would have returned, a value or a negated
/// errno. Returns nothing where it does not: then the caller makes the call. To be called inside the library
/// (InLibrary), with the signals of kHandlerMask blocked.
[[nodiscard]] std::optional<long> answer_memory_call(const Call& call) noexcept;

}  // namespace faultline::preload
