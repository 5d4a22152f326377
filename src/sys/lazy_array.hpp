// LazyArray: a fixed-size array of zero-initialised, trivially destructible elements in a mapping of its own. The
// kernel allocates memory page by page when elements are touched, so a large capacity costs addresses only. It runs no
// constructors and synchronises nothing. Tables of pages, frames and blocks use it.
#pragma once

#include "core/check.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "sys/array_memory.hpp"
#include "sys/mapping.hpp"

#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>

namespace faultline::sys {

template <typename T>
class LazyArray {
    // Zero bytes must be a valid T: atomics of integers and plain structs of them.
    static_assert(std::is_trivially_destructible_v<T>);

public:
    LazyArray() noexcept = default;
    LazyArray(std::size_t count, const char* purpose)
        : mapping_{Mapping::reserve(bytes_for(count), core::kUnitBytes, true, purpose)}, count_{count} {}
    /// Takes memory from `memory`, which outlives the array.
    LazyArray(std::size_t count, ArrayMemory& memory) : mapping_{memory.take(bytes_for(count))}, count_{count} {}

    /// Returns the bytes of memory that `count` elements take: whole pages.
    [[nodiscard]] static constexpr std::size_t bytes_for(std::size_t count) noexcept {
        return core::align_up(count * sizeof(T), core::kUnitBytes);
    }

    [[nodiscard]] T& operator[](std::size_t index) const noexcept {
        FAULTLINE_INVARIANT(index < count_);
        return reinterpret_cast<T*>(mapping_.data())[index];
    }
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    [[nodiscard]] std::span<T> span() const noexcept { return {reinterpret_cast<T*>(mapping_.data()), count_}; }

    /// Zeroes all elements and returns their memory to the kernel. No other thread may use an element meanwhile.
    void clear() const FAULTLINE_SIGNAL_SAFE {
        const std::size_t bytes = bytes_for(count_);
        if (bytes == 0) return;
        if (!mapping_.discard_part(0, bytes)) std::memset(static_cast<void*>(mapping_.data()), 0, bytes);
    }

private:
    Mapping mapping_;
    std::size_t count_ = 0;
};

}  // namespace faultline::sys
