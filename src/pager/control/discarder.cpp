#include "pager/control/discarder.hpp"

#include "pager/region/fault_path_section.hpp"
#include "pager/region/range_pieces.hpp"
#include "pager/region/region_map.hpp"
#include "sys/error.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <span>

namespace faultline::pager {

using core::PageRange;
using core::PageState;
using core::PageWord;

namespace {

/// Pages that a discard owns. `flush` gives them back to the kernel and to the store with few calls.
class DiscardGroup {
public:
    DiscardGroup(Region& region, PagerCore& core, DiskSpace space) noexcept
        : region_{region}, core_{core}, space_{space} {}

    [[nodiscard]] bool full() const noexcept { return count_ == kMost; }
    void add(std::uint64_t page, PageWord was) noexcept { pages_[count_++] = {page, was}; }

    void flush() {
        std::array<iovec, kMost> ranges{};
        std::size_t drops = 0;
        std::int64_t units = 0;
        forget_writes_in_flight();
        for (const Owned& owned : owned_pages()) {
            const bool mapped = owned.was.is(PageState::resident);
            // A frame in a slot is freed with its batch.
            const bool in_place =
                owned.was.is(PageState::staged) && core_.staging.frame_at(owned.was.payload()) == StagedFrame::in_place;
            if (!mapped && !in_place && !owned.was.is(PageState::poisoned)) continue;
            ranges[drops++] = {region_.address_of(owned.page), region_.page_bytes()};
            if (mapped || in_place) units += region_.page_units();
            if (in_place) core_.staging.frame_taken_back(owned.was.payload());
        }
        if (drops > 0) region_.mapper().drop({ranges.data(), drops});
        give_slots_back();
        for (const Owned& owned : owned_pages()) {
            if (owned.was.is(PageState::resident)) core_.frames.remove(owned.was.payload());
            region_.publish(owned.page, [](PageWord word) { return word.discarded(); });
        }
        core_.budget.release(units);
        count_ = 0;
    }

private:
    static constexpr std::size_t kMost = 64;
    struct Owned {
        std::uint64_t page;
        PageWord was;
    };

    [[nodiscard]] std::span<const Owned> owned_pages() const noexcept { return {pages_.data(), count_}; }

    /// The end of a write gives a dirty page a slot, which then no thread would give back. A clean page gets none: the
    /// thread that ends its write gives the slot back at once.
    void forget_writes_in_flight() {
        for (std::size_t i = 0; i < count_; ++i) {
            Owned& owned = pages_[i];
            const PageWord before = region_.update(owned.page, [](PageWord word) { return word.with_dirty(false); });
            owned.was = owned.was.with_slot(before.has_slot());
        }
    }

    /// While the pages are owned: a slot that is given back later could be in use again.
    void give_slots_back() {
        for (std::size_t i = 0; i < count_;) {
            std::size_t end = i;
            while (end < count_ && pages_[end].was.has_slot() && pages_[end].page == pages_[i].page + (end - i)) ++end;
            if (end > i) give_back(region_.offset_of(pages_[i].page), (end - i) * region_.page_bytes());
            i = std::max(end, i + 1);
        }
    }

    void give_back(std::uint64_t offset, std::uint64_t bytes) {
        if (space_ == DiskSpace::give_back) {
            region_.store().discard(offset, bytes);
        } else {
            region_.store().discard_keeping_space(offset, bytes);
        }
    }

    Region& region_;
    PagerCore& core_;
    DiskSpace space_;
    std::array<Owned, kMost> pages_{};
    std::size_t count_ = 0;
};

}  // namespace

void Discarder::discard(Region& region, PageRange range, DiskSpace space) {
    core_.require_owner_process();
    bool found_pinned = false;
    for_each_piece(range, [&](PageRange piece) { found_pinned |= discard_piece(region, piece, space); });
    if (found_pinned) sys::throw_error(EBUSY, "pages of the range are pinned and were not discarded");
}

/// Returns whether a page was pinned, and therefore kept.
bool Discarder::discard_piece(Region& region, PageRange range, DiskSpace space) {
    const FaultPathSection section;
    room_.spare_mappings();  // holes in what is mapped take mappings, too
    DiscardGroup group{region, core_, space};
    bool found_pinned = false;
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        const auto claim = [&](PageWord word) -> std::optional<PageWord> {
            if (word.is(PageState::empty)) return std::nullopt;
            if (!word.is(PageState::resident)) return word.claimed_for_fill();
            if (word.pins() == 0) return word.claimed_for_eviction();
            found_pinned = true;
            return std::nullopt;
        };
        const auto was = region.wait_and_claim(page, claim, [&] { group.flush(); });
        if (!was) return;
        group.add(page, *was);
        if (!group.full()) return;
        group.flush();
        room_.spare_mappings();
    });
    group.flush();
    core_.wake_to_return_space();
    return found_pinned;
}

void Discarder::expect_in_store(Region& region, PageRange range) {
    core_.require_owner_process();
    const core::Departure long_ago = core_.departures.long_ago();
    for_each_piece(range, [&](PageRange piece) {
        const FaultPathSection section;
        for (std::uint64_t page = piece.first; page < piece.end(); ++page) {
            region.update_if(page, [long_ago](PageWord word) {
                return word.is(PageState::empty) ? std::optional{word.found_in_store(long_ago)} : std::nullopt;
            });
        }
    });
}

void Discarder::discard_to_store(Region& region, PageRange range) {
    discard(region, range);
    wait_for_writes(region, range);
    expect_in_store(region, range);
}

void Discarder::wait_for_writes(const Region& region, PageRange range) {
    bool writing = false;
    region.table().for_each_touched(range, [&](std::uint64_t page) { writing |= region.load(page).writing(); });
    if (writing) RegionMap::readers().synchronize();
}

void Discarder::forget_all(Region& region) {
    std::int64_t units = 0;
    region.table().for_each_touched({0, region.pages()}, [&](std::uint64_t page) {
        const auto was = region.wait_and_claim(page, [](PageWord word) {
            return std::optional{word.is(PageState::resident) ? word.claimed_for_eviction() : word.claimed_for_fill()};
        });
        if (was->is(PageState::resident)) {
            core_.frames.remove(was->payload());
            units += region.page_units();
        }
        region.publish(page, [](PageWord word) { return word.discarded(); });
    });
    if (!region.window()) region.mapper().empty_region(region.mapping().data(), region.mapping().size());
    core_.budget.release(units);
}

}  // namespace faultline::pager
