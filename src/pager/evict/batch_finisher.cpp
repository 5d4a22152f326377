#include "pager/evict/batch_finisher.hpp"

#include "core/units.hpp"
#include "pager/evict/drop_list.hpp"
#include "pager/region/stored_bytes.hpp"

namespace faultline::pager {

using core::PageRef;
using core::PageWord;

Reclaimed BatchFinisher::finish(StagingBatch& batch, store::WriteQueue& queue, OlderWrite older) FAULTLINE_SIGNAL_SAFE {
    Reclaimed result;
    result.write_error = writeback_.write(batch, queue);
    bool any_kept = false;
    for (std::size_t i = 0; i < batch.pages; ++i) {
        batch.scratch.leaving[i] = claim(batch, i);
        any_kept |= batch.scratch.leaving[i] == Leaving::not_yet;
    }
    keep_copies(batch);
    // Frees the frames before the words are published: a fault may fill an absent page at once, and a frame that was
    // staged in place has the same address.
    result.units = drop_frames(batch);
    for (std::size_t i = 0; i < batch.pages; ++i) {
        if (batch.scratch.leaving[i] == Leaving::for_good) publish_evicted(batch, i);
        if (batch.scratch.leaving[i] != Leaving::not_yet) batch.entries[i].page.store(0, std::memory_order_release);
    }
    if (any_kept) {
        const bool nothing_done = result.units == 0 && result.write_error == 0;
        if (nothing_done && older == OlderWrite::wait) writeback_.wait_for_older_write(batch);
        core_.staging.push(batch);
        core_.budget.notify();  // threads that found no batch meanwhile must learn of the error, too
    } else {
        core_.staging.give_back_empty(batch);
    }
    result.progress = result.units > 0;
    core_.budget.release(result.units);
    return result;
}

int BatchFinisher::finish_all(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    int error = 0;
    for (std::size_t batches = core_.staging.zone_batches(); batches > 0; --batches) {
        StagingBatch* const batch = core_.staging.pop_oldest(0);
        if (batch == nullptr) return error;
        const Reclaimed finished = finish(*batch, queue);
        if (finished.write_error != 0) error = finished.write_error;
    }
    return error;
}

void BatchFinisher::finish_forgotten() FAULTLINE_SIGNAL_SAFE {
    store::SequentialWriteQueue queue;
    // Each batch once. A batch that still has pages goes back, and the order of the zone is kept.
    for (std::size_t batches = core_.staging.zone_batches(); batches > 0; --batches) {
        StagingBatch* const batch = core_.staging.pop_oldest(0);
        if (batch == nullptr) return;
        bool forgotten = true;
        for (std::size_t i = 0; i < batch->pages; ++i) forgotten &= batch->page_of(i).region == 0;
        if (forgotten) {
            finish(*batch, queue);
        } else {
            core_.staging.push(*batch);
        }
    }
}

/// staged and clean -> filling: the caller then owns the page and evicts it.
Leaving BatchFinisher::claim(StagingBatch& batch, std::size_t entry) FAULTLINE_SIGNAL_SAFE {
    const PageRef page = batch.page_of(entry);
    const Region* const region = page.region == 0 ? nullptr : core_.regions.find(page.region);
    if (region == nullptr) return Leaving::has_left;
    const StagingUnit unit = batch.unit_of(entry);
    PageWord seen = region->load(page.page);
    for (;;) {
        if (seen.leaving_slot(unit)) {  // a fault takes the page back; it waits for nothing that the caller holds
            region->wait(page.page, seen);
            seen = region->load(page.page);
            continue;
        }
        if (!is_staged_at(seen, unit)) return Leaving::has_left;  // taken back or discarded
        if (seen.dirty()) return Leaving::not_yet;
        if (region->try_change(page.page, seen, seen.claimed_for_fill())) return Leaving::for_good;
    }
}

/// Lets the stores keep copies of leaving pages that were not written now: they are clean, and a file may have them.
void BatchFinisher::keep_copies(const StagingBatch& batch) FAULTLINE_SIGNAL_SAFE {
    bool any = false;
    for (std::size_t i = 0; i < batch.pages; ++i) {
        if (batch.scratch.leaving[i] != Leaving::for_good || batch.entries[i].written) continue;
        const PageRef page = batch.page_of(i);
        const Region& region = *core_.regions.find(page.region);
        if (!wants_copy(region, page.page)) continue;
        any = true;
        const std::byte* const bytes = region.mapper().staged_bytes(
            region.address_of(page.page), core_.staging.address_of(batch.unit_of(i)), region.page_bytes());
        if (bytes != nullptr) region.store().keep_copy(region.offset_of(page.page), {bytes, region.page_bytes()});
    }
    if (!any) return;
    core_.mappers.release_copies(core_.staging.address_of(batch.first_unit()), batch.used_units * core::kUnitBytes);
}

/// Frees the frames that the batch still holds, neighbours with one call. Returns the units.
std::int64_t BatchFinisher::drop_frames(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE {
    DropList drops{core_.mappers, batch.scratch.dropped};
    std::int64_t units = 0;
    for (std::size_t i = 0; i < batch.pages; ++i) {
        StagingBatch::Entry& entry = batch.entries[i];
        if (batch.scratch.leaving[i] == Leaving::not_yet) continue;
        const StagedFrame frame = entry.frame.exchange(StagedFrame::not_held);
        if (frame == StagedFrame::not_held) continue;
        units += entry.units;
        if (frame == StagedFrame::in_slot) {
            const std::size_t bytes = std::size_t{entry.units} * core::kUnitBytes;
            drops.add_slot(core_.staging.address_of(batch.unit_of(i)), bytes);
        } else if (batch.scratch.leaving[i] == Leaving::for_good) {  // else the frame went with its region
            const PageRef page = batch.page_of(i);
            drops.add_page(*core_.regions.find(page.region), page.page);
        }
    }
    drops.flush();
    return units;
}

/// filling -> stored or empty.
void BatchFinisher::publish_evicted(StagingBatch& batch, std::size_t entry) FAULTLINE_SIGNAL_SAFE {
    const PageRef page = batch.page_of(entry);
    const Region& region = *core_.regions.find(page.region);
    const core::Departure departure = core_.departures.next(batch.entries[entry].policy_tag);
    region.publish(page.page, [departure](PageWord word) { return word.evicted(departure); });
    region.counters().add(Count::evictions);
    if (!batch.entries[entry].written) region.counters().add(Count::clean_evictions);
}

}  // namespace faultline::pager
