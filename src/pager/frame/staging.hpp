// Staging: the area that pages move to when they are evicted, in batches. One thread at a time holds a batch: it fills,
// writes and empties it. Between filling and emptying, the batch waits in the zone, oldest first, and faults may take
// its pages back. Staging moves no page: Stager and BatchFinisher do, through the mapper.
//
// Page words decide which page is where. An entry of a batch says which page was put into its slot; the page is still
// there if its word is `staged` with this slot. The fault that takes the frame back notes that in the entry.
#pragma once

#include "core/page_word.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "pager/frame/frame_table.hpp"
#include "store/backing_store.hpp"
#include "sys/futex_lock.hpp"
#include "sys/lazy_array.hpp"
#include "sys/mapping.hpp"

#include <sys/uio.h>

#include <boost/intrusive/list.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {

/// 32-bit number of a 4 KiB unit of the staging area: the payload of a staged page's word.
using StagingUnit = std::uint32_t;

/// What BatchFinisher finds for a page of a batch.
enum class Leaving : std::uint8_t {
    not_yet,   ///< Dirty: its bytes are in the staged frame only, and must be written first.
    has_left,  ///< Taken back or discarded, or its region is gone: nothing to do.
    for_good,  ///< Clean: its frame can be freed.
};

/// Where the frame of a page is that has an entry in a batch.
enum class StagedFrame : std::uint8_t {
    not_held,  ///< Not the batch's: the page keeps it, or a fault has taken it back.
    in_slot,   ///< In the page's slot.
    in_place,  ///< At the page's own address, unmapped (Mapper::stages_in_place).
};

/// Up to 2 MiB of staged pages. The thread that took it from Staging owns it; a batch in the zone belongs to
/// Staging.
struct StagingBatch : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
    static constexpr std::size_t kUnits = kLargestPageBytes / core::kUnitBytes;
    static constexpr std::size_t kMostPages = 256;

    /// One staged page. Faults on other threads read `page` and set `frame` to `not_held`; the owner of the batch
    /// writes the rest.
    struct Entry {
        std::atomic<std::uint64_t> page{0};  // core::PageRef bits; 0 once the region is gone
        std::atomic<StagedFrame> frame{StagedFrame::not_held};
        std::uint8_t policy_tag = 0;
        bool written = false;          // since it was staged
        std::uint16_t first_unit = 0;  // in the batch
        std::uint16_t units = 0;       // of 4 KiB
    };

    /// Working space of the batch's owner, whose stack may be too small for it.
    struct Scratch {
        ChosenPage chosen[kMostPages];
        iovec dropped[kMostPages];
        store::StoreWrite writes[kMostPages];
        std::uint8_t entry_of_write[kMostPages];
        bool writing[kMostPages];
        Leaving leaving[kMostPages];
        std::uint8_t unchanged[kMostPages];  // entries that Stager drops again
        std::size_t unchanged_count;
        core::PageRef written[kMostPages];  // copies: an entry loses its page's name if the region is destroyed
    };

    Entry entries[kMostPages];
    Scratch scratch;
    std::size_t pages = 0;                    // entries in use
    std::size_t used_units = 0;               // of 4 KiB
    std::uint32_t index = 0;                  // of the batch in the area
    std::uint8_t entry_of_unit[kUnits] = {};  // at each page's first unit: its entry

    [[nodiscard]] bool has_room(std::size_t units) const noexcept {
        return pages < kMostPages && used_units + units <= kUnits;
    }
    [[nodiscard]] StagingUnit first_unit() const noexcept { return static_cast<StagingUnit>(index * kUnits); }
    [[nodiscard]] StagingUnit unit_of(std::size_t entry) const noexcept {
        return first_unit() + entries[entry].first_unit;
    }
    [[nodiscard]] core::PageRef page_of(std::size_t entry) const noexcept {
        return core::PageRef::from(entries[entry].page.load(std::memory_order_acquire));
    }
};

/// Thread-safe. Signal-safe except for the constructor; callers that are not in a fault keep signals blocked.
class Staging {
public:
    /// The most batches: enough for every thread of a busy program to hold one while the zone is full. A small limit
    /// needs fewer. Each takes 2 MiB of addresses.
    static constexpr std::size_t kMostBatches = 4096;
    static constexpr std::size_t kLeastBatches = 256;

    /// Reserves batches for a limit of `frames` units. If the limit grows later, fewer pages are staged than it allows.
    /// Throws std::system_error (ENOMEM).
    explicit Staging(std::size_t frames);

    /// Returns the mapping that batches lie in, for the mapper.
    [[nodiscard]] sys::Mapping& area() noexcept { return area_; }

    /// Maps the area again in a child of fork, where no batch is in use. Throws std::system_error.
    void start_in_child();

    /// Returns an empty batch, which the caller then owns; null if all are in use.
    [[nodiscard]] StagingBatch* take_empty() FAULTLINE_SIGNAL_SAFE;
    /// Gives back a batch without staged pages.
    void give_back_empty(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;

    /// Puts a batch at the young end of the zone, which then owns it.
    void push(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;

    /// Removes the oldest batch from the zone if that holds more than `keep_units`; else returns null. The caller owns
    /// the batch.
    [[nodiscard]] StagingBatch* pop_oldest(std::size_t keep_units) FAULTLINE_SIGNAL_SAFE;

    /// Returns the number of batches in the zone.
    [[nodiscard]] std::size_t zone_batches() FAULTLINE_SIGNAL_SAFE;

    /// Returns the address of a unit in the area.
    [[nodiscard]] std::byte* address_of(StagingUnit unit) const noexcept {
        return area_.data() + std::size_t{unit} * core::kUnitBytes;
    }

    /// Adds an entry for `page` to a batch that has room, and returns the entry's number. The caller owns the batch.
    std::size_t add(StagingBatch& batch, core::PageRef page, std::size_t units, std::uint8_t policy_tag,
                    StagedFrame frame) FAULTLINE_SIGNAL_SAFE;
    /// Removes the last entry added.
    void remove_last(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;

    /// Notes that the page staged at `unit` has its frame back: the batch no longer frees it. The caller owns the page.
    void frame_taken_back(StagingUnit unit) FAULTLINE_SIGNAL_SAFE;

    /// Returns where the frame of the page staged at `unit` is. The caller owns the page.
    [[nodiscard]] StagedFrame frame_at(StagingUnit unit) const FAULTLINE_SIGNAL_SAFE;

    /// Removes the names of a region's pages from all entries. Called when no page of it is staged; see
    /// RegionLifecycle::destroy.
    void forget_region(std::uint32_t region) noexcept;

private:
    void open_batches(std::size_t first, std::size_t count) FAULTLINE_SIGNAL_SAFE;

    using Zone = boost::intrusive::list<StagingBatch, boost::intrusive::constant_time_size<false>>;

    const std::size_t batches_;
    sys::Mapping area_;
    sys::LazyArray<std::byte> storage_;  // of StagingBatch objects, constructed when first needed
    [[nodiscard]] StagingBatch& batch_at(std::size_t index) const noexcept;
    [[nodiscard]] StagingBatch::Entry& entry_at(StagingUnit unit) const noexcept;

    sys::FutexLock lock_;                      // guards everything below; no system call inside
    std::atomic<std::size_t> constructed_{0};  // written under `lock_`; released after the batch is constructed
    Zone zone_;                                // oldest first
    Zone empty_;
    std::size_t zone_units_ = 0;
    std::size_t zone_batches_ = 0;
};

}  // namespace faultline::pager
