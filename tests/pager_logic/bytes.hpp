// Copies and fills through function calls. For a constant size the compiler may use inline instructions, which
// ThreadSanitizer does not see.
#pragma once

#include <cstddef>
#include <cstring>

namespace faultline::test {

inline void copy_bytes(void* to, const void* from, std::size_t bytes) noexcept {
    asm volatile("" : "+r"(bytes));
    std::memcpy(to, from, bytes);
}

inline void fill_bytes(void* at, int value, std::size_t bytes) noexcept {
    asm volatile("" : "+r"(bytes));
    std::memset(at, value, bytes);
}

}  // namespace faultline::test
