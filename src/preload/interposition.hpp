// Decides which function a call of the program reaches: the preload's, the C library's, or the program's own.
// The functions themselves are in malloc.cpp, thread_functions.cpp and others. Called by start.cpp, once, and by Next
// at each lookup.
#pragma once

namespace faultline::preload {

/// Makes lookups in the C library itself find the functions that the preload exports. dlopen(RTLD_DEEPBIND) binds a
/// module to the C library past the preload, and so does dlsym with the library's handle. Without this, such a module
/// (a PHP extension, for example) frees blocks of the program with an allocator that did not allocate them.
void replace_functions_of_libc() noexcept;

/// Returns the C library's own function for a name that was replaced, or null.
[[nodiscard]] void* replaced_function(const char* name) noexcept;

/// Returns true if the code at `address` is the preload's.
[[nodiscard]] bool is_own_code(const void* address) noexcept;

}  // namespace faultline::preload
