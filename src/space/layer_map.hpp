// LayerMap: for each page of a region, the number of the store layer that holds its bytes. It takes two bytes per page,
// and memory only where a number is stored. It owns no layers: SegmentStore, its only user, gives the numbers their
// meaning. Signal-safe.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/tracked_array.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::space {

/// Any thread may call any function at any time; for one page, one thread at a time calls `exchange`. Loads acquire,
/// stores release.
class LayerMap {
public:
    using Number = std::uint16_t;

    /// Constructs a map of pages below `pages`, all numbers 0. Throws std::system_error (ENOMEM).
    explicit LayerMap(std::uint64_t pages) : numbers_{pages, "a map of layers"} {}

    [[nodiscard]] Number at(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        return numbers_[page].load(std::memory_order_acquire);
    }

    /// Sets the number of a page and returns the old one.
    Number exchange(std::uint64_t page, Number number) const FAULTLINE_SIGNAL_SAFE {
        const Number before = at(page);
        if (before == number) return before;  // does not touch memory that is still zeros
        numbers_.mark(page);
        numbers_[page].store(number, std::memory_order_release);
        return before;
    }

    /// Calls `visit(page, number)` for every page whose number is not 0, in order.
    template <typename Visit>
    void for_each(Visit visit) const {
        numbers_.for_each_marked(0, numbers_.size(), [&](std::uint64_t page) {
            if (const Number number = at(page); number != 0) visit(page, number);
        });
    }

private:
    sys::TrackedArray<std::atomic<Number>> numbers_;
};

}  // namespace faultline::space
