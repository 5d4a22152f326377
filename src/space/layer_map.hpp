// LayerMap: a small number for each page of a region: which of a store's layers has its bytes. Two bytes a page, in
// memory that is taken where numbers are put in; the rest is addresses only. What the numbers mean, SegmentStore knows.
#pragma once

#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "sys/lazy_array.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::space {

/// Any thread may call anything at any time; one page's number is changed by one thread at a time.
class LayerMap {
public:
    using Number = std::uint16_t;

    /// All 0, of pages below `pages`. Throws std::system_error (ENOMEM).
    explicit LayerMap(std::uint64_t pages)
        : numbers_{pages, "a map of layers"}, touched_{pages / kPagesPerBlock + 1, "a map of layers' summary"} {}

    [[nodiscard]] Number at(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        return numbers_[page].load(std::memory_order_acquire);
    }

    /// Returns the number that was there before.
    Number put(std::uint64_t page, Number number) const FAULTLINE_SIGNAL_SAFE {
        const Number before = at(page);
        if (before == number) return before;  // spares memory that is zeros yet
        std::atomic<std::uint8_t>& touched = touched_[page / kPagesPerBlock];
        if (touched.load(std::memory_order_relaxed) == 0) touched.store(1, std::memory_order_release);
        numbers_[page].store(number, std::memory_order_release);
        return before;
    }

    /// Calls `visit(page, number)` for every page whose number is not 0, in order.
    template <typename Visit>
    void for_each(Visit visit) const {
        for (std::uint64_t first = 0; first < numbers_.size(); first += kPagesPerBlock) {
            if (touched_[first / kPagesPerBlock].load(std::memory_order_acquire) == 0) continue;
            for (std::uint64_t page = first; page < first + kPagesPerBlock && page < numbers_.size(); ++page) {
                if (const Number number = at(page); number != 0) visit(page, number);
            }
        }
    }

private:
    static constexpr std::uint64_t kPagesPerBlock = core::kUnitBytes / sizeof(Number);  // one page of memory

    sys::LazyArray<std::atomic<Number>> numbers_;
    sys::LazyArray<std::atomic<std::uint8_t>> touched_;
};

}  // namespace faultline::space
