#include "pager/evict/evictor.hpp"

#include "core/units.hpp"
#include "pager/log/event_log.hpp"
#include "pager/region/region_map.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace faultline::pager {

using core::PageRef;
using core::PageWord;

Reclaimed Evictor::free_frames(std::int64_t units, std::size_t pages_at_once, std::size_t keep_staged,
                               store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    Reclaimed total;
    if (core_.mappers.short_of_mappings()) total += evict_fragmenting(queue);
    while (total.units < units) {
        StagingBatch* oldest = core_.staging.pop_oldest(keep_staged);
        if (oldest == nullptr) {
            const CleanPages clean = keep_staged > 0 ? CleanPages::stage : CleanPages::stage_for_copy;
            const Reclaimed staged = stage_victims(pages_at_once, clean, queue);
            total += staged;
            if (staged.progress) continue;
            oldest = core_.staging.pop_oldest(0);  // nothing mapped can leave: second chances are over
            if (oldest == nullptr) return total;
        }
        const Reclaimed finished = finisher_.finish(*oldest, queue, OlderWrite::wait);
        total += finished;
        if (finished.write_error != 0) {
            // The batch is back in the zone; clean pages can leave all the same.
            total += drop_clean_victims(pages_at_once);
            return total;
        }
    }
    return total;
}

Reclaimed Evictor::evict(Region& region, core::PageRange range, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    iovec run{region.address_of(range.first), range.count * region.page_bytes()};
    return evict({&run, 1}, queue);
}

Reclaimed Evictor::evict_fragmenting(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    std::array<iovec, 64> runs{};
    return evict({runs.data(), core_.mappers.fragmenting_runs(runs)}, queue);
}

Reclaimed Evictor::make_room(std::size_t pages, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    const auto [batch, count] = choose(pages, Spare::gripped);
    if (batch == nullptr) return {};
    Reclaimed total = stager_.unmap(*batch, count, CleanPages::drop);
    total += finisher_.finish(*batch, queue);
    return total;
}

Reclaimed Evictor::evict(std::span<iovec> runs, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    Reclaimed total;
    while (!runs.empty()) {
        StagingBatch* const batch = core_.staging.take_empty();
        if (batch == nullptr) return total;
        const std::size_t count = claim_from(runs, *batch);
        if (count == 0) {
            core_.staging.give_back_empty(*batch);
            continue;
        }
        total += stager_.unmap(*batch, count, CleanPages::stage_for_copy);
        total += finisher_.finish(*batch, queue);
    }
    return total;
}

/// Claims evictable pages from the front of `runs`, as many as the batch holds. Leaves the rest in `runs`.
std::size_t Evictor::claim_from(std::span<iovec>& runs, StagingBatch& batch) FAULTLINE_SIGNAL_SAFE {
    std::size_t count = 0;
    std::int64_t room = StagingBatch::kUnits;
    for (; !runs.empty(); runs = runs.subspan(1)) {
        iovec& run = runs.front();
        Region* const region = RegionMap::find(core::address_of(run.iov_base));
        if (region == nullptr || run.iov_len == 0) continue;
        const std::uintptr_t last = core::address_of(run.iov_base) + run.iov_len - 1;
        core::PageRange pages{region->page_of(core::address_of(run.iov_base)), 0};
        for (pages.count = region->page_of(last) + 1 - pages.first; pages.count > 0;) {
            const std::uint64_t page = region->table().next_touched(pages);
            if (page == pages.end()) break;
            if (count == StagingBatch::kMostPages || room < region->page_units()) {
                run = {region->address_of(page), (pages.end() - page) * region->page_bytes()};
                return count;
            }
            pages = {page + 1, pages.end() - page - 1};
            if (!is_evictable(region->load(page)) || !claim(region->ref(page), Spare::nothing, room)) continue;
            batch.scratch.chosen[count++] = {region->ref(page), {region->load(page).payload(), 0}};
        }
    }
    return count;
}

/// resident -> evicting, if the page may leave and the batch has room for it.
bool Evictor::claim(PageRef page, Spare spare, std::int64_t& units_left) FAULTLINE_SIGNAL_SAFE {
    const Region* const region = core_.regions.find(page.region);
    if (region == nullptr || units_left < region->page_units()) return false;
    if (spare != Spare::nothing && core_.guard.spares(page)) return false;
    const auto was = region->update_if(page.page, [spare](PageWord word) -> std::optional<PageWord> {
        const bool spared = spare == Spare::gripped_and_dirty && word.dirty();
        if (!is_evictable(word) || spared) return std::nullopt;
        return word.claimed_for_eviction();
    });
    if (!was) return false;
    units_left -= region->page_units();
    return true;
}

/// Takes an empty batch and claims up to `pages` victims into its scratch. Null without a batch or a victim.
Evictor::Victims Evictor::choose(std::size_t pages, Spare spare) FAULTLINE_SIGNAL_SAFE {
    StagingBatch* const batch = core_.staging.take_empty();
    if (batch == nullptr) return {};
    std::int64_t room = StagingBatch::kUnits;
    const std::span<ChosenPage> chosen{batch->scratch.chosen, std::min(pages, StagingBatch::kMostPages)};
    const std::size_t count =
        core_.frames.choose(chosen, [&](PageRef page, FrameId) { return claim(page, spare, room); });
    if (const std::optional<Victim> bad = core_.frames.take_bad_choice()) {
        core_.log.record({Event::Kind::policy_failed, bad->tag, bad->frame});
    }
    if (count > 0) return {batch, count};
    core_.staging.give_back_empty(*batch);
    return {};
}

Reclaimed Evictor::stage_victims(std::size_t pages, CleanPages clean, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    const auto [batch, count] = choose(pages, Spare::gripped);
    if (batch == nullptr) return {};
    Reclaimed result = stager_.unmap(*batch, count, clean);
    result.write_error = finisher_.writeback().write(*batch, queue);
    if (batch->pages > 0) {
        core_.staging.push(*batch);
        core_.budget.notify();
    } else {
        core_.staging.give_back_empty(*batch);
    }
    return result;
}

/// Evicts only pages that need no write: the store is full or failing.
Reclaimed Evictor::drop_clean_victims(std::size_t pages) FAULTLINE_SIGNAL_SAFE {
    const auto [batch, count] = choose(pages, Spare::gripped_and_dirty);
    if (batch == nullptr) return {};
    const Reclaimed result = stager_.drop_clean(*batch, count);
    core_.staging.give_back_empty(*batch);
    return result;
}

}  // namespace faultline::pager
