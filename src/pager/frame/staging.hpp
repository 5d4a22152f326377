// Staging: the area that pages move to when they leave the program's view, in batches. A batch is filled, written and
// emptied by the one thread that holds it; in between it waits in the zone, oldest first, and its pages may be taken
// back by faults.
//
// Who is where is the page words' business: an entry of a batch says which page was put into the slot, and the page is
// still there if its word says `staged` at this slot. An entry's `holds_frame` is cleared by the fault that moves the
// frame back.
#pragma once

#include "core/page_word.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "pager/frame/frame_table.hpp"
#include "store/write_queue.hpp"
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

/// What BatchFinisher finds of a page of its batch.
enum class Leaving : std::uint8_t {
    not_yet,   ///< Dirty: its bytes are nowhere else.
    has_left,  ///< Taken back, discarded, or its region is gone.
    for_good,
};

struct StagingBatch : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
    static constexpr std::size_t kUnits = kLargestPageBytes / core::kUnitBytes;
    static constexpr std::size_t kMostPages = 256;

    struct Entry {
        std::atomic<std::uint64_t> page{0};  // core::PageRef bits; 0 once the region is gone
        std::atomic<bool> holds_frame{false};
        std::uint8_t policy_tag = 0;
        bool written = false;          // since it was staged
        std::uint16_t first_unit = 0;  // in the batch
        std::uint16_t units = 0;
    };

    /// Working space of the thread that holds the batch, which may have too small a stack for it.
    struct Scratch {
        ChosenPage chosen[kMostPages];
        iovec dropped[kMostPages];
        store::StoreWrite writes[kMostPages];
        std::uint8_t first_entry_of_write[kMostPages];
        bool writing[kMostPages];
        Leaving leaving[kMostPages];
        core::PageRef written[kMostPages];  // of those: an entry loses its page's name when the region goes meanwhile
    };

    Entry entries[kMostPages];
    Scratch scratch;
    std::size_t pages = 0;
    std::size_t used_units = 0;
    std::uint32_t index = 0;
    std::uint8_t entry_of_unit[kUnits] = {};

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

/// Signal-safe, except construction; callers that are not in a fault keep signals blocked.
class Staging {
public:
    /// At most so many batches there are: enough that every thread of a busy program can hold one while the zone is
    /// full. A small limit needs fewer, and each takes 2 MiB of addresses.
    static constexpr std::size_t kMostBatches = 4096;
    static constexpr std::size_t kLeastBatches = 256;

    /// For a limit of `frames` units at first; with a larger one later, fewer pages get a second chance.
    explicit Staging(std::size_t frames);

    /// The mapping that batches live in, for the mapper.
    [[nodiscard]] sys::Mapping& area() noexcept { return area_; }

    /// In a child of fork, where no batch is in use: maps the area again. Throws std::system_error.
    void start_in_child();

    /// An empty batch, now the caller's; null when all are in use.
    [[nodiscard]] StagingBatch* take_empty() FAULTLINE_SIGNAL_SAFE;
    void give_back_empty(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;

    /// Puts a batch at the young end of the zone.
    void push(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;

    /// The oldest batch, now the caller's, if the zone holds more than `keep_units`; else null.
    [[nodiscard]] StagingBatch* pop_oldest(std::size_t keep_units) FAULTLINE_SIGNAL_SAFE;

    /// How many batches are in the zone.
    [[nodiscard]] std::size_t zone_batches() FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] std::byte* address_of(StagingUnit unit) const noexcept {
        return area_.data() + std::size_t{unit} * core::kUnitBytes;
    }

    /// Adds an entry for `page` to a batch that has room; returns its number.
    std::size_t add(StagingBatch& batch, core::PageRef page, std::size_t units,
                    std::uint8_t policy_tag) FAULTLINE_SIGNAL_SAFE;
    /// Takes the entry added last out again.
    void remove_last(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;

    /// The frame at `unit` has moved back to the program's view.
    void frame_left(StagingUnit unit) FAULTLINE_SIGNAL_SAFE;

    /// No entry names a page of `region` any more. Called when no page of it is staged; see RegionLifecycle::destroy.
    void forget_region(std::uint32_t region) noexcept;

private:
    void open_batches(std::size_t first, std::size_t count) FAULTLINE_SIGNAL_SAFE;

    using Zone = boost::intrusive::list<StagingBatch, boost::intrusive::constant_time_size<false>>;

    const std::size_t batches_;
    sys::Mapping area_;
    sys::LazyArray<std::byte> storage_;  // of StagingBatch, constructed as they are first needed
    [[nodiscard]] StagingBatch& batch_at(std::size_t index) const noexcept;

    sys::FutexLock lock_;  // guards everything below
    std::atomic<std::size_t> constructed_{0};
    Zone zone_;
    Zone empty_;
    std::size_t zone_units_ = 0;
    std::size_t zone_batches_ = 0;
};

}  // namespace faultline::pager
