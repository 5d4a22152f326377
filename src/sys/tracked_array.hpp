// TrackedArray: a LazyArray that knows which parts of it may have been written, so that a scan skips the others. It
// keeps one bit for the elements that share a 4 KiB page of the array. The owner marks an element before its first
// change. Page tables and tables of locations are such arrays.
#pragma once

#include "core/record_memory.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "sys/atomic_bits.hpp"
#include "sys/lazy_array.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace faultline::sys {

/// Any thread may call any function at any time. Marks are never cleared.
template <typename T>
class TrackedArray {
public:
    /// `purpose` names the memory in error messages. `records`: counts the memory that is marked; may be null. Throws
    /// std::system_error (ENOMEM).
    TrackedArray(std::uint64_t count, const char* purpose, core::RecordMemory* records = nullptr)
        : elements_{count, purpose}, marks_{count / kPerMark + 1, purpose}, charge_{records} {}

    [[nodiscard]] std::uint64_t size() const noexcept { return elements_.size(); }
    [[nodiscard]] T& operator[](std::uint64_t index) const noexcept { return elements_[index]; }

    /// Records that the element may differ from zero. Call before it changes, so that no scan misses it.
    void mark(std::uint64_t index) const FAULTLINE_SIGNAL_SAFE {
        if (marks_.set(index / kPerMark)) charge_.add(1);
    }

    /// The same for `count` elements from `first` on; at least one.
    void mark(std::uint64_t first, std::uint64_t count) const FAULTLINE_SIGNAL_SAFE {
        charge_.add(static_cast<std::int64_t>(
            marks_.set(first / kPerMark, (first + count - 1) / kPerMark + 1 - first / kPerMark)));
    }

    /// Zeroes all elements and returns their memory to the kernel. No other thread may use an element meanwhile.
    void clear() const FAULTLINE_SIGNAL_SAFE { elements_.clear(); }

    /// Returns the first element in [from, end) that may have been written, or `end`. Skips 64 * kPerMark elements at a
    /// time.
    [[nodiscard]] std::uint64_t next_marked(std::uint64_t from, std::uint64_t end) const FAULTLINE_SIGNAL_SAFE {
        if (from >= end) return end;
        const std::uint64_t mark = marks_.next_set(from / kPerMark, (end - 1) / kPerMark + 1);
        return std::clamp(mark * kPerMark, from, end);
    }

    /// Calls `visit(index)` for every element in [from, end) that may have been written, in order.
    template <typename Visit>
    void for_each_marked(std::uint64_t from, std::uint64_t end, Visit visit) const {
        while (from < end) {
            from = next_marked(from, end);
            const std::uint64_t group_end = std::min((from / kPerMark + 1) * kPerMark, end);
            for (; from < group_end; ++from) visit(from);
        }
    }

private:
    static constexpr std::uint64_t kPerMark = core::kUnitBytes / sizeof(T);

    LazyArray<T> elements_;
    AtomicBits marks_;
    mutable core::RecordCharge charge_;
};

}  // namespace faultline::sys
