// RecordPool: fixed-size records in lazily touched memory, identified by small numbers, so that the heap's metadata
// needs no other allocator. Number 0 is never used. The pool destroys no records: it unmaps them. Used by HeapPages
// (spans) and PageRuns (free runs).
#pragma once

#include "core/check.hpp"
#include "sys/lazy_array.hpp"

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

namespace faultline::heap {

/// The caller serialises `take` and `give`. `operator[]` needs no lock.
template <typename T>
class RecordPool {
    union Cell {
        std::uint32_t next_free;
        alignas(T) std::byte record[sizeof(T)];
    };

public:
    /// At most `most` records at a time.
    RecordPool(std::uint32_t most, const char* purpose) : cells_{std::size_t{most} + 1, purpose} {}

    /// Constructs a record. Returns null if `most` records are in use.
    [[nodiscard]] T* take() noexcept {
        std::uint32_t number = free_;
        if (number != 0) {
            free_ = cells_[number].next_free;
        } else if (used_ + 1 < cells_.size()) {
            number = ++used_;
        } else {
            return nullptr;
        }
        return std::construct_at(reinterpret_cast<T*>(cells_[number].record));
    }
    void give(T& record) noexcept {
        const std::uint32_t number = number_of(record);
        std::destroy_at(&record);
        cells_[number].next_free = std::exchange(free_, number);
    }

    [[nodiscard]] T& operator[](std::uint32_t number) const noexcept {
        return *reinterpret_cast<T*>(cells_[number].record);
    }
    [[nodiscard]] std::uint32_t number_of(const T& record) const noexcept {
        return static_cast<std::uint32_t>(reinterpret_cast<const Cell*>(&record) - &cells_[0]);
    }

private:
    sys::LazyArray<Cell> cells_;
    std::uint32_t free_ = 0;  // 0: none
    std::uint32_t used_ = 0;
};

}  // namespace faultline::heap
