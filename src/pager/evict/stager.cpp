#include "pager/evict/stager.hpp"

#include "pager/evict/drop_list.hpp"
#include "pager/evict/unseen_writes.hpp"
#include "pager/region/stored_bytes.hpp"

#include <algorithm>
#include <utility>

namespace faultline::pager {

using core::PageWord;

Reclaimed Stager::unmap(StagingBatch& batch, std::size_t count, CleanPages clean) FAULTLINE_SIGNAL_SAFE {
    ChosenPage* const chosen = batch.scratch.chosen;
    // In address order, so that neighbours leave with one call and are written with one write.
    std::sort(chosen, chosen + count, [](const auto& left, const auto& right) { return left.page < right.page; });
    UnseenWrites{core_.regions}.find_among({chosen, count});

    batch.scratch.unchanged_count = 0;
    std::size_t to_drop = 0;
    Reclaimed result;
    for (std::size_t i = 0; i < count;) {
        const Exit exit = exit_of(chosen[i], clean);
        if (exit == Exit::drop) {
            std::swap(chosen[to_drop++], chosen[i++]);
            continue;
        }
        std::size_t end = i + 1;
        while (end < count && chosen[end].page.region == chosen[i].page.region &&
               chosen[end].page.page == chosen[end - 1].page.page + 1 && exit_of(chosen[end], clean) == exit) {
            ++end;
        }
        result += stage_run(batch, i, end, clean);
        i = end;
    }
    if (to_drop > 0) {
        result.units += drop(batch, to_drop);
        result.progress = true;
    }
    result.units += drop_unchanged(batch);
    return result;
}

Reclaimed Stager::drop_clean(StagingBatch& batch, std::size_t count) FAULTLINE_SIGNAL_SAFE {
    UnseenWrites{core_.regions}.find_among({batch.scratch.chosen, count});
    count = keep_dirty_resident({batch.scratch.chosen, count});
    Reclaimed result;
    if (count == 0) return result;
    result.units = drop(batch, count);
    result.progress = true;
    return result;
}

Stager::Exit Stager::exit_of(const ChosenPage& chosen, CleanPages clean) const FAULTLINE_SIGNAL_SAFE {
    if (is_dirty(chosen)) return Exit::stage_dirty;
    const bool stage =
        clean == CleanPages::stage ||
        (clean == CleanPages::stage_for_copy && wants_copy(*core_.regions.find(chosen.page.region), chosen.page.page));
    return stage ? Exit::stage_clean : Exit::drop;
}

bool Stager::is_dirty(const ChosenPage& chosen) const FAULTLINE_SIGNAL_SAFE {
    return core_.regions.find(chosen.page.region)->load(chosen.page.page).dirty();
}

/// Returns false if a dirty page, staged at `unit`, has the bytes that its slot has. A dead page counts as changed, so
/// that its slot is freed.
bool Stager::has_changed(const ChosenPage& chosen, StagingUnit unit) const FAULTLINE_SIGNAL_SAFE {
    const Region& region = *core_.regions.find(chosen.page.region);
    if (!region.load(chosen.page.page).checksummed() || region.is_dead(chosen.page.page)) return true;
    std::byte* const slot = core_.staging.address_of(unit);
    const std::byte* const bytes =
        region.mapper().staged_bytes(region.address_of(chosen.page.page), slot, region.page_bytes());
    const bool same = bytes != nullptr && store::page_checksum_of({bytes, region.page_bytes()}) ==
                                              core_.frames.checksum(chosen.victim.frame);
    core_.mappers.release_copies(slot, region.page_bytes());
    return !same;
}

/// Publishes the dirty pages as resident again and moves the clean ones to the front. Returns the number of clean
/// pages.
std::size_t Stager::keep_dirty_resident(std::span<ChosenPage> chosen) FAULTLINE_SIGNAL_SAFE {
    std::size_t clean = 0;
    for (const ChosenPage& each : chosen) {
        if (is_dirty(each)) {
            keep_resident(each);
        } else {
            chosen[clean++] = each;
        }
    }
    return clean;
}

/// Stages the chosen pages [first, end), which are neighbours and either all dirty or all clean.
Reclaimed Stager::stage_run(StagingBatch& batch, std::size_t first, std::size_t end,
                            CleanPages clean) FAULTLINE_SIGNAL_SAFE {
    const ChosenPage* const chosen = batch.scratch.chosen;
    const bool dirty = is_dirty(chosen[first]);
    const Region& region = *core_.regions.find(chosen[first].page.region);
    const auto page_units = static_cast<std::size_t>(region.page_units());
    const StagedFrame frames = region.mapper().stages_in_place() ? StagedFrame::in_place : StagedFrame::in_slot;
    const auto protection = dirty ? mmu::Protection::writable : mmu::Protection::write_protected;
    Reclaimed result;
    for (std::size_t next = first; next < end;) {
        const std::size_t first_entry = batch.pages;
        for (std::size_t i = next; i < end; ++i) {
            core_.staging.add(batch, chosen[i].page, page_units, chosen[i].victim.tag, frames);
        }
        const StagingUnit unit = batch.unit_of(first_entry);
        const mmu::Staged staged =
            region.mapper().stage(region.address_of(chosen[next].page.page), core_.staging.address_of(unit),
                                  region.page_bytes(), end - next, protection);
        while (batch.pages > first_entry + staged.pages) core_.staging.remove_last(batch);
        for (std::size_t i = 0; i < staged.pages; ++i) {
            const ChosenPage& gone = chosen[next + i];
            const StagingUnit at = batch.unit_of(first_entry + i);
            const bool unchanged = dirty && !has_changed(gone, at);
            core_.frames.remove(gone.victim.frame);
            if (unchanged && (clean == CleanPages::drop || !wants_copy(region, gone.page.page))) {
                batch.scratch.unchanged[batch.scratch.unchanged_count++] = static_cast<std::uint8_t>(first_entry + i);
                continue;
            }
            // The first bytes of a page do not count: much is written once, and then read.
            const bool written = dirty && !unchanged;
            region.publish(gone.page.page, [at, written](PageWord word) {
                const bool again = word.has_slot() || word.written_before();
                return word.staged(at).with_dirty(written).with_written_before(written && again);
            });
        }
        if (staged.pages > 0) result.progress = true;
        next += staged.pages;
        if (staged.error == 0 || next == end) continue;
        if (dirty) {
            keep_resident(chosen[next]);
            result.refused = true;
        } else {
            result.units += drop_refused(chosen[next], unit + static_cast<StagingUnit>(staged.pages * page_units));
            result.progress = true;
        }
        ++next;
    }
    return result;
}

/// evicting -> stored, of pages that were mapped writable and have not changed: the store has their bytes. Returns the
/// units freed.
std::int64_t Stager::drop_unchanged(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE {
    const std::span<const std::uint8_t> unchanged{batch.scratch.unchanged, batch.scratch.unchanged_count};
    if (unchanged.empty()) return 0;
    DropList drops{core_.mappers, batch.scratch.dropped};
    std::int64_t units = 0;
    for (const std::size_t i : unchanged) {
        const core::PageRef page = batch.page_of(i);
        const Region& region = *core_.regions.find(page.region);
        units += batch.entries[i].units;
        if (batch.entries[i].frame.load() == StagedFrame::in_place) {
            drops.add_page(region, page.page);
        } else {
            drops.add_slot(core_.staging.address_of(batch.unit_of(i)), region.page_bytes());
        }
    }
    drops.flush();
    for (const std::size_t i : unchanged) {
        StagingBatch::Entry& entry = batch.entries[i];
        const core::PageRef page = batch.page_of(i);
        entry.frame.store(StagedFrame::not_held, std::memory_order_relaxed);
        entry.page.store(0, std::memory_order_release);
        core_.regions.find(page.region)->update(page.page, [](PageWord word) { return word.with_dirty(false); });
        publish_evicted({page, {kNoFrame, entry.policy_tag}});
    }
    if (unchanged.size() == batch.pages) batch.pages = batch.used_units = 0;
    core_.budget.release(units);
    return units;
}

/// Drops a clean page that the kernel refused to stage: the store has its bytes. Part of it may have reached its slot.
std::int64_t Stager::drop_refused(const ChosenPage& chosen, StagingUnit unit) FAULTLINE_SIGNAL_SAFE {
    const Region& region = *core_.regions.find(chosen.page.region);
    iovec ranges[2];
    DropList drops{core_.mappers, ranges};
    drops.add_page(region, chosen.page.page);
    drops.add_slot(core_.staging.address_of(unit), region.page_bytes());
    drops.flush();
    core_.frames.remove(chosen.victim.frame);
    publish_evicted(chosen);
    core_.budget.release(region.page_units());
    return region.page_units();
}

/// Drops the first `count` chosen pages, which are clean: the store has their bytes. Returns the units freed.
std::int64_t Stager::drop(StagingBatch& batch, std::size_t count) FAULTLINE_SIGNAL_SAFE {
    const std::span<const ChosenPage> clean{batch.scratch.chosen, count};
    DropList drops{core_.mappers, batch.scratch.dropped};
    std::int64_t units = 0;
    for (const ChosenPage& each : clean) {
        const Region& region = *core_.regions.find(each.page.region);
        drops.add_page(region, each.page.page);
        units += region.page_units();
    }
    drops.flush();
    core_.frames.remove(clean);
    for (const ChosenPage& gone : clean) publish_evicted(gone);
    core_.budget.release(units);
    return units;
}

/// evicting -> stored or empty, of a clean page.
void Stager::publish_evicted(const ChosenPage& gone) FAULTLINE_SIGNAL_SAFE {
    const Region& region = *core_.regions.find(gone.page.region);
    const core::Departure departure = core_.departures.next(gone.victim.tag);
    region.publish(gone.page.page,
                   [departure](PageWord word) { return word.evicted(departure).with_written_before(false); });
    region.counters().add(Count::evictions);
    region.counters().add(Count::clean_evictions);
}

/// evicting -> resident: the page keeps its frame.
void Stager::keep_resident(const ChosenPage& chosen) FAULTLINE_SIGNAL_SAFE {
    core_.frames.put_back(chosen.victim.frame);
    const Region& region = *core_.regions.find(chosen.page.region);
    region.publish(chosen.page.page, [](PageWord word) { return word.eviction_refused(); });
}

}  // namespace faultline::pager
