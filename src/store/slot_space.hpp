// SlotSpace: the swap slots and the compressed blocks of one pager. Each page that was evicted has consecutive slots,
// whether its bytes are compressed in memory or in a swap file. SwapStore keeps the page's location: its first slot.
// Several locations may name a page. When the last one is dropped, SlotSpace frees the page's slots.
#pragma once

#include "core/record_memory.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "store/block_codec.hpp"
#include "store/compressed_pool.hpp"
#include "store/slots.hpp"
#include "store/writer_pool.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace faultline::store {

/// How a page of one size lies in slots.
struct PageShape {
    explicit constexpr PageShape(std::size_t page_bytes) noexcept
        : units{static_cast<std::uint32_t>(page_bytes >> core::kUnitShift)},
          block_units{std::min(units, kBlockSlots)} {}

    [[nodiscard]] constexpr unsigned size_class() const noexcept {
        return static_cast<unsigned>(std::countr_zero(units));
    }
    [[nodiscard]] constexpr std::size_t block_bytes() const noexcept {
        return std::size_t{block_units} << core::kUnitShift;
    }

    std::uint32_t units;        ///< Slots of a page; a power of two.
    std::uint32_t block_units;  ///< Slots of a block: what is compressed, checked and read in one piece.
};

/// Thread-safe and signal-safe, except construction. Callers outside a fault keep all signals blocked.
class SlotSpace {
public:
    /// `capacity` and `limit` are those of CompressedPool. `records`: counts the memory of slots, locations and
    /// buffers; may be null. Throws std::system_error.
    SlotSpace(std::size_t capacity, std::size_t limit, core::RecordMemory* records = nullptr)
        : pool_{slots_, capacity, limit, records}, writers_{records}, records_{records} {}

    [[nodiscard]] Slots& slots() noexcept { return slots_; }
    [[nodiscard]] SlotTable& table() noexcept { return slots_.table(); }
    [[nodiscard]] const SlotTable& table() const noexcept { return slots_.table(); }
    [[nodiscard]] SlotAllocator& allocator() noexcept { return slots_.allocator(); }
    [[nodiscard]] const SlotAllocator& allocator() const noexcept { return slots_.allocator(); }
    [[nodiscard]] CompressedPool& pool() noexcept { return pool_; }
    [[nodiscard]] const CompressedPool& pool() const noexcept { return pool_; }
    [[nodiscard]] WriterPool& writers() noexcept { return writers_; }
    [[nodiscard]] core::RecordMemory* records() const noexcept { return records_; }

    /// Drops one location of a page. Frees its slots if it was the last.
    void release(SlotNumber first, PageShape shape) FAULTLINE_SIGNAL_SAFE {
        if (!table().drop_user(first)) return;
        for (std::uint32_t unit = 0; unit < shape.units; unit += shape.block_units) {
            pool_.release(first + unit, shape.block_units);
        }
    }

private:
    Slots slots_;
    CompressedPool pool_;
    WriterPool writers_;
    core::RecordMemory* records_;
};

}  // namespace faultline::store
