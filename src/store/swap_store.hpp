// SwapStore: the pages of one region that are not in memory. It keeps the location of each page, its first slot in the
// SlotSpace that all regions of a pager share: 4 bytes for each page that ever left memory. A page gets new slots each
// time it is written; the old ones are freed afterwards.
#pragma once

#include "store/backing_store.hpp"
#include "store/slot_space.hpp"
#include "sys/tracked_array.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::store {

/// See BackingStore for the overrides.
class SwapStore : public BackingStore {
public:
    /// An empty store for `bytes` in pages of `page_bytes`, which divides them. `space` must outlive the store. Throws
    /// std::system_error (ENOMEM).
    SwapStore(SlotSpace& space, std::uint64_t bytes, std::size_t page_bytes)
        : space_{space}, shape_{page_bytes}, locations_{bytes / page_bytes, "a table of locations", space.records()} {}
    /// Frees the slots that no other store uses.
    ~SwapStore() override;
    SwapStore(const SwapStore&) = delete;
    SwapStore& operator=(const SwapStore&) = delete;

    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int read_pages(std::span<const StoreRead> reads,
                                 DuringRead* meanwhile) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int plan_read(std::span<const StoreRead> reads, ReadPlan& plan) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int check_read(std::span<const StoreRead> reads) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] SwapStore* swap_store(std::uint64_t) FAULTLINE_SIGNAL_SAFE override { return this; }
    void discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] Whereabouts whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] bool wants_copy(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE override;
    void keep_copy(std::uint64_t offset, std::span<const std::byte> page) FAULTLINE_SIGNAL_SAFE override;
    /// Only for pages of 4 KiB.
    [[nodiscard]] SharedBytes shared_bytes(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE override;

    /// Returns true if the store has bytes of the page at `offset`.
    [[nodiscard]] bool holds(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
        return location_of(page_at(offset)) != kNoSlot;
    }

    /// Gives this store, which is empty, the pages of another one of the same size and space: both use the same slots.
    /// Nothing else uses either store meanwhile.
    void share_pages_of(const SwapStore& other);

    // ---- for SlotWriter and SwapSpace

    [[nodiscard]] PageShape shape() const noexcept { return shape_; }
    [[nodiscard]] std::uint64_t page_at(std::uint64_t offset) const noexcept {
        return offset >> (core::kUnitShift + shape_.size_class());
    }
    [[nodiscard]] SlotNumber location_of(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        return locations_[page].load(std::memory_order_acquire);
    }
    /// Makes `first` the location of a page (kNoSlot: none), and drops the old one. The slots have their bytes.
    void move_page(std::uint64_t page, SlotNumber first) FAULTLINE_SIGNAL_SAFE;
    /// Calls `visit(page, first slot)` for each page that the store holds.
    template <typename Visit>
    void for_each_page(Visit visit) const {
        locations_.for_each_marked(0, locations_.size(), [&](std::uint64_t page) {
            if (const SlotNumber first = location_of(page); first != kNoSlot) visit(page, first);
        });
    }

    /// Returns true if the next block should be compressed: there is memory for compressed blocks, and not too many
    /// before it did not shrink.
    [[nodiscard]] bool worth_compressing() FAULTLINE_SIGNAL_SAFE;
    /// Compresses a block, and notes whether it shrank. Returns the compressed bytes; an empty span if it did not.
    [[nodiscard]] std::span<const std::byte> compress(const CompressorPool::Compressor& compressor,
                                                      std::span<const std::byte> block) FAULTLINE_SIGNAL_SAFE;

private:
    template <typename Visit>
    [[nodiscard]] int for_each_block(std::span<const StoreRead> reads, Visit visit) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] SlotNumber slot_at(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int plan_block(SlotNumber slot, std::span<std::byte> into, ReadPlan& plan) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool is_as_written(SlotNumber slot, std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE;
    void keep_copy_of_block(SlotNumber slot, std::span<const std::byte> block) FAULTLINE_SIGNAL_SAFE;

    SlotSpace& space_;
    PageShape shape_;
    sys::TrackedArray<std::atomic<SlotNumber>> locations_;  // by page; kNoSlot: the store has no bytes of the page
    std::atomic<std::uint32_t> rejected_in_a_row_{0};       // relaxed: for a decision only
};

}  // namespace faultline::store
