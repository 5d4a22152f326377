// strdup and strndup. The C library's functions would return blocks that are not managed (ManagedHeap::serves), and
// some programs keep most of their data in such blocks.

#include "preload/malloc.hpp"

#include <cstring>

// NOLINTBEGIN: the C library's names and signatures
namespace {

char* duplicate(const char* text, std::size_t bytes, const void* caller) noexcept {
    auto* const copy = static_cast<char*>(faultline::preload::allocate(bytes + 1, caller));
    if (copy == nullptr) return nullptr;
    std::memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

}  // namespace

extern "C" {

char* strdup(const char* text) noexcept { return duplicate(text, std::strlen(text), __builtin_return_address(0)); }
char* strndup(const char* text, std::size_t most) noexcept {
    return duplicate(text, ::strnlen(text, most), __builtin_return_address(0));
}

}  // extern "C"
// NOLINTEND
