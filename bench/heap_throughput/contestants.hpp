// The allocators that are compared. Each is behind the same three function pointers, so that every call costs the same.
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
    std::shared_ptr<void> owned;  ///< Owns what the functions need.
};

/// Returns the C library's allocator.
Allocator c_library();

/// Loads a shared library that has malloc or mi_malloc, besides the process's own allocator. If it cannot be loaded,
/// the functions are null, and `name` contains the reason.
Allocator from_library(const std::string& file);

}  // namespace bench
