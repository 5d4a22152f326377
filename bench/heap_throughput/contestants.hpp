// The allocators that are compared, each behind the same three function pointers, so that all pay the same for the
// call.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace bench {

struct Allocator {
    std::string name;
    void* context = nullptr;
    void* (*allocate)(void* context, std::size_t bytes) = nullptr;
    void* (*reallocate)(void* context, void* block, std::size_t bytes) = nullptr;
    void (*deallocate)(void* context, void* block) = nullptr;
    std::shared_ptr<void> owned;  ///< What the functions need.
};

/// The C library's.
Allocator c_library();

/// Of a shared library that has malloc, or mi_malloc; it is loaded besides the process's own. Null functions where it
/// is not there, and `name` says why.
Allocator from_library(const std::string& file);

}  // namespace bench
