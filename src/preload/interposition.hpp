// Which functions a call of the program reaches: the preload's, the C library's, or the program's own.
#pragma once

namespace faultline::preload {

/// Makes lookups in the C library itself find the functions that the preload exports: dlopen(RTLD_DEEPBIND) binds a
/// module to the C library past the preload, and so does dlsym with the library's handle. Without this, a module that
/// frees a block of the program's gives it to an allocator that does not know it (PHP's extensions do).
void replace_functions_of_libc() noexcept;

/// The C library's own function of a name that was replaced, or null.
[[nodiscard]] void* replaced_function(const char* name) noexcept;

/// Whether the code at `address` is the preload's.
[[nodiscard]] bool is_own_code(const void* address) noexcept;

}  // namespace faultline::preload
