// TrackedArray: a LazyArray that knows which parts of it may have been written, so that a scan skips the others. It
// keeps one bit for the elements that share a 4 KiB page of the array, and one for each 64th of those bits: an array of
// terabytes is scanned in a microsecond if little of it is used. The owner marks an element before its first change.
// Page tables and tables of locations are such arrays.
#pragma once

#include "core/record_memory.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "sys/atomic_bits.hpp"
#include "sys/lazy_array.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
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
        : elements_{count, purpose},
          marks_{count / kPerMark + 1, purpose},
          group_shift_{static_cast<unsigned>(std::bit_width(count / kPerMark / kGroups))},
          charge_{records} {}

    [[nodiscard]] std::uint64_t size() const noexcept { return elements_.size(); }
    [[nodiscard]] T& operator[](std::uint64_t index) const noexcept { return elements_[index]; }

    /// Records that the element may differ from zero. Call before it changes, so that no scan misses it.
    void mark(std::uint64_t index) const FAULTLINE_SIGNAL_SAFE {
        mark_groups(index / kPerMark, index / kPerMark);
        if (marks_.set(index / kPerMark)) charge_.add(1);
    }

    /// The same for `count` elements from `first` on; at least one.
    void mark(std::uint64_t first, std::uint64_t count) const FAULTLINE_SIGNAL_SAFE {
        const std::uint64_t from = first / kPerMark;
        const std::uint64_t last = (first + count - 1) / kPerMark;
        mark_groups(from, last);
        charge_.add(static_cast<std::int64_t>(marks_.set(from, last + 1 - from)));
    }

    /// Zeroes all elements and returns their memory to the kernel. No other thread may use an element meanwhile.
    void clear() const FAULTLINE_SIGNAL_SAFE { elements_.clear(); }

    /// Returns the first element in [from, end) that may have been written, or `end`.
    [[nodiscard]] std::uint64_t next_marked(std::uint64_t from, std::uint64_t end) const FAULTLINE_SIGNAL_SAFE {
        if (from >= end) return end;
        const std::uint64_t marks_end = (end - 1) / kPerMark + 1;
        std::uint64_t mark = from / kPerMark;
        while ((mark = in_marked_group(mark)) < marks_end) {
            const std::uint64_t group_end = std::min(((mark >> group_shift_) + 1) << group_shift_, marks_end);
            mark = marks_.next_set(mark, group_end);
            if (mark < group_end) return std::clamp(mark * kPerMark, from, end);
        }
        return end;
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
    static constexpr std::uint64_t kGroups = 64;

    /// Marks the groups of the marks from `first` to `last`: before the marks, so that no scan misses one.
    void mark_groups(std::uint64_t first, std::uint64_t last) const FAULTLINE_SIGNAL_SAFE {
        const std::uint64_t up_to_last = ~std::uint64_t{0} >> (kGroups - 1 - (last >> group_shift_));
        const std::uint64_t wanted = up_to_last & ~std::uint64_t{0} << (first >> group_shift_);
        if ((groups_.load() & wanted) != wanted) groups_.fetch_or(wanted);
    }
    /// Returns the first mark from `mark` on whose group is marked, or a number beyond all marks.
    [[nodiscard]] std::uint64_t in_marked_group(std::uint64_t mark) const FAULTLINE_SIGNAL_SAFE {
        const std::uint64_t group = mark >> group_shift_;
        const std::uint64_t left = group >= kGroups ? 0 : groups_.load() >> group;
        if ((left & 1) != 0) return mark;
        return left == 0 ? ~std::uint64_t{0} : (group + static_cast<unsigned>(std::countr_zero(left))) << group_shift_;
    }

    LazyArray<T> elements_;
    AtomicBits marks_;
    const unsigned group_shift_;                    // a group has 2^group_shift_ marks
    mutable std::atomic<std::uint64_t> groups_{0};  // one bit for each
    mutable core::RecordCharge charge_;
};

}  // namespace faultline::sys
