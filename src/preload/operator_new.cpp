// Operators new and delete, all forms. If the heap has no memory, they call the operator that the program would call
// without the preload. That one uses the program's new-handler and throws the program's std::bad_alloc; this library
// has its own copies of both.

#include "preload/malloc.hpp"
#include "preload/next.hpp"

#include <algorithm>
#include <new>

using namespace faultline::preload;

namespace {

Next<void*(std::size_t)> next_new{"_Znwm"};
Next<void*(std::size_t, std::align_val_t)> next_new_aligned{"_ZnwmSt11align_val_t"};
Next<void*(std::size_t, const std::nothrow_t&)> next_new_or_null{"_ZnwmRKSt9nothrow_t"};
Next<void*(std::size_t, std::align_val_t, const std::nothrow_t&)> next_new_aligned_or_null{
    "_ZnwmSt11align_val_tRKSt9nothrow_t"};

void* make_or_throw(std::size_t bytes, const void* caller) {
    if (void* const block = allocate(bytes, caller)) return block;
    if (!next_new.exists()) throw std::bad_alloc{};  // the caller is this library itself
    return next_new(bytes);
}

void* make_or_throw(std::size_t bytes, std::align_val_t alignment, const void* caller) {
    if (void* const block = allocate_aligned(static_cast<std::size_t>(alignment), bytes, caller)) return block;
    if (!next_new_aligned.exists()) throw std::bad_alloc{};
    return next_new_aligned(bytes, alignment);
}

void* make_or_null(std::size_t bytes, const void* caller) noexcept {
    if (void* const block = allocate(bytes, caller)) return block;
    return next_new_or_null.exists() ? next_new_or_null(bytes, std::nothrow) : nullptr;
}

void* make_or_null(std::size_t bytes, std::align_val_t alignment, const void* caller) noexcept {
    if (void* const block = allocate_aligned(static_cast<std::size_t>(alignment), bytes, caller)) return block;
    return next_new_aligned_or_null.exists() ? next_new_aligned_or_null(bytes, alignment, std::nothrow) : nullptr;
}

}  // namespace

#define CALLER __builtin_return_address(0)
using Size = std::size_t;
using Alignment = std::align_val_t;
using NoThrow = std::nothrow_t;

// NOLINTBEGIN: the standard's signatures
void* operator new(Size bytes) { return make_or_throw(bytes, CALLER); }
void* operator new[](Size bytes) { return make_or_throw(bytes, CALLER); }
void* operator new(Size bytes, Alignment alignment) { return make_or_throw(bytes, alignment, CALLER); }
void* operator new[](Size bytes, Alignment alignment) { return make_or_throw(bytes, alignment, CALLER); }
void* operator new(Size bytes, const NoThrow&) noexcept { return make_or_null(bytes, CALLER); }
void* operator new[](Size bytes, const NoThrow&) noexcept { return make_or_null(bytes, CALLER); }
void* operator new(Size bytes, Alignment alignment, const NoThrow&) noexcept {
    return make_or_null(bytes, alignment, CALLER);
}
void* operator new[](Size bytes, Alignment alignment, const NoThrow&) noexcept {
    return make_or_null(bytes, alignment, CALLER);
}

void operator delete(void* block) noexcept { release(block); }
void operator delete[](void* block) noexcept { release(block); }
void operator delete(void* block, Size) noexcept { release(block); }
void operator delete[](void* block, Size) noexcept { release(block); }
void operator delete(void* block, Alignment) noexcept { release(block); }
void operator delete[](void* block, Alignment) noexcept { release(block); }
void operator delete(void* block, Size, Alignment) noexcept { release(block); }
void operator delete[](void* block, Size, Alignment) noexcept { release(block); }
void operator delete(void* block, const NoThrow&) noexcept { release(block); }
void operator delete[](void* block, const NoThrow&) noexcept { release(block); }
void operator delete(void* block, Alignment, const NoThrow&) noexcept { release(block); }
void operator delete[](void* block, Alignment, const NoThrow&) noexcept { release(block); }
// NOLINTEND
