#include "pager/evict/writeback.hpp"

#include "core/units.hpp"
#include "sys/clock.hpp"

#include <optional>

namespace faultline::pager {

using core::PageRef;
using core::PageWord;

int Writeback::write(StagingBatch& batch, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    std::size_t pages = 0;
    for (std::size_t i = 0; i < batch.pages; ++i) pages += batch.scratch.writing[i] = begin(batch, i);
    if (pages == 0) return 0;
    const sys::ThreadClock clock;
    const auto staged_bytes = [&](const Region& region, std::size_t i) {
        return region.mapper().staged_bytes(region.address_of(batch.scratch.written[i].page),
                                            core_.staging.address_of(batch.unit_of(i)), region.page_bytes());
    };
    const int error = writer_.write(batch, queue, staged_bytes, [&](std::size_t i, int write_error, bool all_zero) {
        finish(batch, i, write_error, all_zero);
    });
    core_.write_wait.record(clock.waited(), pages);
    core_.mappers.release_copies(core_.staging.address_of(batch.first_unit()), batch.used_units * core::kUnitBytes);
    return error;
}

/// Marks a dirty page as being written, which keeps its bytes in the slot. Returns false if there is nothing to write.
bool Writeback::begin(StagingBatch& batch, std::size_t entry) FAULTLINE_SIGNAL_SAFE {
    const PageRef page = batch.page_of(entry);
    const Region* const region = page.region == 0 ? nullptr : core_.regions.find(page.region);
    if (region == nullptr) return false;
    // While an older version is being written (the page was taken back and staged again), a later pass writes it.
    const StagingUnit unit = batch.unit_of(entry);
    const auto was = region->update_if(page.page, [unit](PageWord word) {
        const bool to_write = is_staged_at(word, unit) && word.dirty() && !word.writing();
        return to_write ? std::optional{word.with_writing(true)} : std::nullopt;
    });
    if (!was) return false;
    batch.scratch.written[entry] = page;
    return true;
}

/// Ends the write of an entry's page. `all_zero`: nothing was written, since the page is zeros.
void Writeback::finish(StagingBatch& batch, std::size_t entry, int error, bool all_zero) FAULTLINE_SIGNAL_SAFE {
    const PageRef page = batch.scratch.written[entry];
    const Region& region = *core_.regions.find(page.region);
    const StagingUnit unit = batch.unit_of(entry);
    bool given_back = false;
    for (PageWord seen = region.load(page.page);;) {
        PageWord next = seen.with_writing(false);
        bool slot_is_unused = false;
        if (is_staged_at(seen, unit) && error == 0) {
            next = next.with_dirty(false).with_slot(!all_zero);
            slot_is_unused = all_zero && seen.has_slot();
        } else if (seen.dirty()) {
            // Not written, or taken back meanwhile: the slot holds no version that counts, but it takes space.
            next = next.with_slot(seen.has_slot() || !all_zero);
        } else {
            slot_is_unused = !all_zero;  // discarded meanwhile
        }
        // Before the mark goes: while it is there no thread starts another write, so no newer version can be lost.
        if (slot_is_unused && !given_back) {
            region.store().discard(region.offset_of(page.page), region.page_bytes());
            given_back = true;
            seen = region.load(page.page);
            continue;
        }
        if (!seen.busy()) next = next.with_waiters(false);  // the owner of a busy page wakes its waiters
        if (!region.try_change(page.page, seen, next)) continue;
        if (seen.waiters() && !next.waiters()) region.wake_waiters(page.page);
        break;
    }
    if (error != 0) {
        region.counters().add(Count::write_errors);
        core_.log.record({Event::Kind::write_failed, error, core::address_of(region.address_of(page.page))});
    } else if (!all_zero) {
        batch.entries[entry].written = true;
        region.counters().add(Count::bytes_written, static_cast<std::int64_t>(region.page_bytes()));
    }
}

void Writeback::wait_for_older_write(const StagingBatch& batch) FAULTLINE_SIGNAL_SAFE {
    for (std::size_t i = 0; i < batch.pages; ++i) {
        const PageRef page = batch.page_of(i);
        const Region* const region = page.region == 0 ? nullptr : core_.regions.find(page.region);
        if (region == nullptr) continue;
        const PageWord seen = region->load(page.page);
        if (is_staged_at(seen, batch.unit_of(i)) && seen.writing()) return region->wait(page.page, seen);
    }
}

}  // namespace faultline::pager
