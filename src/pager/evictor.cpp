#include "pager/evictor.hpp"

#include "core/check.hpp"
#include "pager/region_tree.hpp"
#include "pager/unseen_writes.hpp"
#include "sys/transient.hpp"
#include "sys/unseen_order.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace faultline::detail {

using core::PageRef;
using core::PageState;
using core::PageWord;

Reclaimed Evictor::free_frames(std::int64_t units, std::size_t pages_at_once, std::size_t keep_staged,
                               store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    Reclaimed total;
    if (mapper_.short_of_mappings()) total += evict_fragmenting(queue);
    while (total.units < units) {
        StagingBatch* oldest = staging_.pop_oldest(keep_staged);
        if (oldest == nullptr) {
            const Reclaimed staged = stage_victims(pages_at_once, keep_staged > 0, queue);
            total += staged;
            if (staged.progress) continue;
            oldest = staging_.pop_oldest(0);  // nothing mapped can leave: second chances are over
            if (oldest == nullptr) return total;
        }
        const Reclaimed settled = settle(*oldest, queue, WriteInFlight::wait);
        total += settled;
        if (settled.write_error != 0) {
            // The batch is back in the zone; what is clean can leave all the same.
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
    return evict({runs.data(), mapper_.fragmenting_runs(runs)}, queue);
}

Reclaimed Evictor::evict(std::span<iovec> runs, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    Reclaimed total;
    while (!runs.empty()) {
        StagingBatch* const batch = staging_.take_empty();
        if (batch == nullptr) return total;
        const std::size_t count = claim_from(runs, *batch);
        if (count == 0) {
            staging_.give_back_empty(*batch);
            continue;
        }
        total += take_off_view(*batch, count, false);
        total += settle(*batch, queue);
    }
    return total;
}

/// Takes an empty batch and claims up to `pages` victims into its scratch. Null without a batch or a victim.
Evictor::Victims Evictor::choose_victims(std::size_t pages) FAULTLINE_SIGNAL_SAFE {
    StagingBatch* const batch = staging_.take_empty();
    if (batch == nullptr) return {};
    std::int64_t room = StagingBatch::kUnits;
    const std::span<ChosenPage> chosen{batch->scratch.chosen, std::min(pages, StagingBatch::kMostPages)};
    const std::size_t count =
        frames_.choose(chosen, [&](PageRef page, policy::FrameId) { return claim(page, Spare::gripped, room); });
    if (count > 0) return {batch, count};
    staging_.give_back_empty(*batch);
    return {};
}

Reclaimed Evictor::make_room(std::size_t pages, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    const auto [batch, count] = choose_victims(pages);
    if (batch == nullptr) return {};
    Reclaimed total = take_off_view(*batch, count, false);
    total += settle(*batch, queue);
    return total;
}

/// Claims what may leave of the runs, from the first on, and as much as the batch holds. What is left is in `runs`.
std::size_t Evictor::claim_from(std::span<iovec>& runs, StagingBatch& batch) FAULTLINE_SIGNAL_SAFE {
    std::size_t count = 0;
    std::int64_t room = StagingBatch::kUnits;
    for (; !runs.empty(); runs = runs.subspan(1)) {
        iovec& run = runs.front();
        Region* const region = RegionTree::find(core::address_of(run.iov_base));
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
            if (!region->load(page).evictable() || !claim(region->ref(page), Spare::nothing, room)) continue;
            batch.scratch.chosen[count++] = {region->ref(page), {region->load(page).payload(), 0}};
        }
    }
    return count;
}

// ---- 1 choose, 2 stage

/// resident -> evicting, if the page may leave and the batch has room for it.
bool Evictor::claim(PageRef page, Spare spare, std::int64_t& units_left) FAULTLINE_SIGNAL_SAFE {
    const Region* const region = regions_.find(page.region);
    if (region == nullptr || units_left < region->page_units()) return false;
    if (spare != Spare::nothing && guard_.spares(page)) return false;
    PageWord seen = region->load(page.page);
    while (seen.evictable()) {
        if (spare == Spare::gripped_and_dirty && seen.dirty()) return false;
        if (!region->try_change(page.page, seen, seen.claimed_for_eviction())) continue;
        units_left -= region->page_units();
        return true;
    }
    return false;
}

Reclaimed Evictor::stage_victims(std::size_t pages, bool wanted_back, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    const auto [batch, count] = choose_victims(pages);
    if (batch == nullptr) return {};
    Reclaimed result = take_off_view(*batch, count, wanted_back);
    result.write_error = write_back(*batch, queue);
    if (batch->pages > 0) {
        staging_.push(*batch);
        budget_.changed();
    } else {
        staging_.give_back_empty(*batch);
    }
    return result;
}

/// Evicts only what needs no write: the store is full or failing.
Reclaimed Evictor::drop_clean_victims(std::size_t pages) FAULTLINE_SIGNAL_SAFE {
    StagingBatch* const batch = staging_.take_empty();
    if (batch == nullptr) return {};
    std::int64_t room = StagingBatch::kUnits;
    const std::span<ChosenPage> chosen{batch->scratch.chosen, std::min(pages, StagingBatch::kMostPages)};
    std::size_t count = frames_.choose(
        chosen, [&](PageRef page, policy::FrameId) { return claim(page, Spare::gripped_and_dirty, room); });
    Reclaimed result;
    if (count > 0 && mapper_.protection_in_doubt()) count = put_back_dirty(chosen.first(count));
    if (count > 0) {
        result.units = drop_clean(*batch, count);
        result.progress = true;
    }
    staging_.give_back_empty(*batch);
    return result;
}

/// Puts back what turns out to be dirty, and moves the others to the front. Returns how many they are.
std::size_t Evictor::put_back_dirty(std::span<ChosenPage> chosen) FAULTLINE_SIGNAL_SAFE {
    UnseenWrites{regions_}.find_among(chosen);
    std::size_t clean = 0;
    for (const ChosenPage& each : chosen) {
        if (regions_.find(each.page.region)->load(each.page.page).dirty()) {
            refuse(each);
        } else {
            chosen[clean++] = each;
        }
    }
    return clean;
}

/// Takes the first `count` chosen pages of the batch's scratch off the view: dirty ones to staging, clean ones too if
/// they are `wanted_back`, else away.
Reclaimed Evictor::take_off_view(StagingBatch& batch, std::size_t count, bool wanted_back) FAULTLINE_SIGNAL_SAFE {
    ChosenPage* const chosen = batch.scratch.chosen;
    // In address order, so that neighbours leave with one call and are written with one write.
    std::sort(chosen, chosen + count, [](const auto& left, const auto& right) { return left.page < right.page; });
    if (mapper_.protection_in_doubt()) UnseenWrites{regions_}.find_among({chosen, count});

    const auto is_dirty = [&](const ChosenPage& one) {
        return regions_.find(one.page.region)->load(one.page.page).dirty();
    };
    std::size_t to_drop = 0;
    Reclaimed result;
    for (std::size_t i = 0; i < count;) {
        const bool dirty = is_dirty(chosen[i]);
        if (!dirty && !wanted_back) {
            std::swap(chosen[to_drop++], chosen[i++]);
            continue;
        }
        std::size_t end = i + 1;
        while (end < count && chosen[end].page.region == chosen[i].page.region &&
               chosen[end].page.page == chosen[end - 1].page.page + 1 && is_dirty(chosen[end]) == dirty) {
            ++end;
        }
        result += stage_run(batch, i, end, dirty);
        i = end;
    }
    if (to_drop > 0) {
        result.units += drop_clean(batch, to_drop);
        result.progress = true;
    }
    return result;
}

/// Stages chosen pages [first, end), which are neighbours and either all dirty or all clean.
Reclaimed Evictor::stage_run(StagingBatch& batch, std::size_t first, std::size_t end,
                             bool dirty) FAULTLINE_SIGNAL_SAFE {
    const ChosenPage* const chosen = batch.scratch.chosen;
    const Region& region = *regions_.find(chosen[first].page.region);
    const auto page_units = static_cast<std::size_t>(region.page_units());
    const auto protection = dirty ? mmu::Protection::writable : mmu::Protection::write_protected;
    Reclaimed result;
    for (std::size_t next = first; next < end;) {
        const std::size_t first_entry = batch.pages;
        for (std::size_t i = next; i < end; ++i) staging_.add(batch, chosen[i].page, page_units, chosen[i].victim.tag);
        const StagingUnit unit = batch.unit_of(first_entry);
        const mmu::Staged staged = mapper_.stage(region.address_of(chosen[next].page.page), staging_.address_of(unit),
                                                 region.page_bytes(), end - next, protection);
        while (batch.pages > first_entry + staged.pages) staging_.remove_last(batch);
        for (std::size_t i = 0; i < staged.pages; ++i) {
            const ChosenPage& gone = chosen[next + i];
            frames_.remove(gone.victim.frame);
            const StagingUnit at = batch.unit_of(first_entry + i);
            region.publish(gone.page.page, [at](PageWord word) { return word.staged(at); });
        }
        if (staged.pages > 0) result.progress = true;
        next += staged.pages;
        if (staged.error == 0 || next == end) continue;
        if (dirty) {
            refuse(chosen[next]);
            result.refused = true;
        } else {
            result.units += drop_refused(chosen[next], unit + static_cast<StagingUnit>(staged.pages * page_units));
            result.progress = true;
        }
        ++next;
    }
    return result;
}

/// A clean page that cannot be staged need not be: its home has the bytes. Part of it may have reached its slot.
std::int64_t Evictor::drop_refused(const ChosenPage& chosen, StagingUnit unit) FAULTLINE_SIGNAL_SAFE {
    const Region& region = *regions_.find(chosen.page.region);
    const iovec ranges[] = {{region.address_of(chosen.page.page), region.page_bytes()},
                            {staging_.address_of(unit), region.page_bytes()}};
    const bool slot_is_empty = region.staged_frames() == mmu::StagedFrames::stay;
    mapper_.drop(std::span{ranges}.first(slot_is_empty ? 1 : 2));
    frames_.remove(chosen.victim.frame);
    let_clean_page_go(chosen);
    budget_.release(region.page_units());
    return region.page_units();
}

/// Drops the first `count` chosen pages, which are clean: their home has the bytes. Returns the units freed.
std::int64_t Evictor::drop_clean(StagingBatch& batch, std::size_t count) FAULTLINE_SIGNAL_SAFE {
    const std::span<const ChosenPage> clean{batch.scratch.chosen, count};
    iovec* const ranges = batch.scratch.dropped;
    std::int64_t units = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const Region& region = *regions_.find(clean[i].page.region);
        ranges[i] = {region.address_of(clean[i].page.page), region.page_bytes()};
        units += region.page_units();
    }
    mapper_.drop({ranges, count});
    frames_.remove(clean);
    for (const ChosenPage& gone : clean) let_clean_page_go(gone);
    budget_.release(units);
    return units;
}

void Evictor::let_clean_page_go(const ChosenPage& gone) FAULTLINE_SIGNAL_SAFE {
    const Region& region = *regions_.find(gone.page.region);
    const core::Departure departure = next_departure(gone.victim.tag);
    region.publish(gone.page.page, [departure](PageWord word) { return word.evicted(departure); });
    region.counters().add(Count::evictions);
    region.counters().add(Count::clean_evictions);
}

/// The kernel holds the page (a device transfer, say): it stays where it is and counts as used.
void Evictor::refuse(const ChosenPage& chosen) FAULTLINE_SIGNAL_SAFE {
    frames_.put_back(chosen.victim.frame);
    const Region& region = *regions_.find(chosen.page.region);
    region.publish(chosen.page.page, [](PageWord word) { return word.eviction_refused(); });
}

// ---- 3 write

namespace {

// Long enough for the device's full speed, short enough that the writes of one batch overlap.
constexpr std::size_t kMostBytesPerWrite = std::size_t{256} << 10;

bool all_zero(const std::byte* bytes, std::size_t count) FAULTLINE_SIGNAL_SAFE {
    // The first word decides for most pages; then the page is compared with itself, one word on: memcmp is vectorised.
    std::uint64_t first = 0;
    std::memcpy(&first, bytes, sizeof first);
    return first == 0 && std::memcmp(bytes, bytes + sizeof first, count - sizeof first) == 0;
}

}  // namespace

/// Turns the pages being written into writes, neighbours together. `finish(entry, error, all_zero)` is called for pages
/// that need no write: those of zeros, those whose bytes are not needed, and those whose bytes cannot be read (EIO).
template <typename BytesOf, typename Finish>
Evictor::Runs Evictor::gather_runs(StagingBatch& batch, BytesOf bytes_of, Finish finish) FAULTLINE_SIGNAL_SAFE {
    StagingBatch::Scratch& scratch = batch.scratch;
    std::size_t runs = 0;
    int error = 0;
    std::size_t previous = batch.pages;  // the entry that ends the current run
    for (std::size_t i = 0; i < batch.pages; ++i) {
        if (!scratch.writing[i]) continue;
        const PageRef page = scratch.written[i];
        const Region& region = *regions_.find(page.region);
        const bool dead = region.is_dead(page.page);
        const std::byte* const bytes = dead ? nullptr : bytes_of(region, i);
        const int read_error = dead || bytes != nullptr ? 0 : EIO;
        if (read_error != 0) error = read_error;
        if (bytes == nullptr || all_zero(bytes, region.page_bytes())) {
            finish(i, read_error, read_error == 0);
            continue;
        }
        const bool continues = runs > 0 && scratch.writes[runs - 1].bytes.size() < kMostBytesPerWrite &&
                               previous + 1 == i && scratch.written[previous].region == page.region &&
                               scratch.written[previous].page + 1 == page.page &&
                               std::to_address(scratch.writes[runs - 1].bytes.end()) == bytes;
        if (continues) {
            std::span<const std::byte>& run = scratch.writes[runs - 1].bytes;
            run = {run.data(), run.size() + region.page_bytes()};
        } else {
            scratch.writes[runs] = {&region.store(), region.offset_of(page.page), {bytes, region.page_bytes()}, 0};
            scratch.first_entry_of_write[runs++] = static_cast<std::uint8_t>(i);
        }
        previous = i;
    }
    return {runs, error};
}

/// Writes the batch's dirty pages. Returns 0 or the last error; pages that were not written stay staged and dirty.
int Evictor::write_back(StagingBatch& batch, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    bool any = false;
    for (std::size_t i = 0; i < batch.pages; ++i) any |= batch.scratch.writing[i] = begin_write(batch, i);
    if (!any) return 0;
    const Runs runs = gather_runs(
        batch, [&](const Region& region, std::size_t i) { return staged_bytes(region, batch, i); },
        [&](std::size_t i, int error, bool all_zero) { finish_write(batch, i, error, all_zero); });
    const int error = write_runs(batch, runs.count, queue,
                                 [&](std::size_t i, int write_error) { finish_write(batch, i, write_error, false); });
    mapper_.release_staged_bytes(staging_.address_of(batch.first_unit()), batch.used_units * core::kUnitBytes);
    return error != 0 ? error : runs.error;
}

const std::byte* Evictor::staged_bytes(const Region& region, const StagingBatch& batch,
                                       std::size_t entry) FAULTLINE_SIGNAL_SAFE {
    return mapper_.staged_bytes(region.address_of(batch.scratch.written[entry].page),
                                staging_.address_of(batch.unit_of(entry)), region.page_bytes());
}

/// Writes the gathered runs and finishes the entries of each. Returns 0 or the last error.
template <typename Finish>
int Evictor::write_runs(StagingBatch& batch, std::size_t runs, store::WriteQueue& queue,
                        Finish finish) FAULTLINE_SIGNAL_SAFE {
    queue.write({batch.scratch.writes, runs});
    int error = 0;
    for (std::size_t run = 0; run < runs; ++run) {
        const store::StoreWrite& done = batch.scratch.writes[run];
        if (done.error != 0) error = done.error;
        const std::size_t bytes = done.bytes.size();
        std::size_t finished = 0;
        for (std::size_t i = batch.scratch.first_entry_of_write[run]; finished < bytes; ++i) {
            finished += std::size_t{batch.entries[i].units} * core::kUnitBytes;
            finish(i, done.error);
        }
    }
    return error;
}

/// Marks a dirty page as being written, which keeps its bytes in the slot. False: nothing to write here.
bool Evictor::begin_write(StagingBatch& batch, std::size_t entry) FAULTLINE_SIGNAL_SAFE {
    const PageRef page = batch.page_of(entry);
    const Region* const region = page.region == 0 ? nullptr : regions_.find(page.region);
    if (region == nullptr) return false;
    PageWord seen = region->load(page.page);
    for (;;) {
        // A write of an older version may still be in flight (taken back and staged again): later, then.
        if (!seen.staged_at(batch.unit_of(entry)) || !seen.dirty() || seen.writing()) return false;
        if (!region->try_change(page.page, seen, seen.with_writing(true))) continue;
        batch.scratch.written[entry] = page;
        return true;
    }
}

/// The write of an entry's page has ended, or was not needed because the page is all zeros.
void Evictor::finish_write(StagingBatch& batch, std::size_t entry, int error, bool all_zero) FAULTLINE_SIGNAL_SAFE {
    const PageRef page = batch.scratch.written[entry];
    const Region& region = *regions_.find(page.region);
    const StagingUnit unit = batch.unit_of(entry);
    bool given_back = false;
    for (PageWord seen = region.load(page.page);;) {
        PageWord next = seen.with_writing(false);
        bool slot_is_unused = false;
        if (seen.staged_at(unit) && error == 0) {
            next = next.with_dirty(false).with_slot(!all_zero);
            slot_is_unused = all_zero && seen.has_slot();
        } else if (seen.dirty()) {
            // Not written, or taken back meanwhile: the slot has no version that counts, but it takes space.
            next = next.with_slot(seen.has_slot() || !all_zero);
        } else {
            slot_is_unused = !all_zero;  // discarded meanwhile
        }
        // Before the mark goes: as long as it is there nobody starts another write, so nothing newer can be lost.
        if (slot_is_unused && !given_back) {
            region.store().discard(region.offset_of(page.page), region.page_bytes());
            given_back = true;
            seen = region.load(page.page);
            continue;
        }
        if (!seen.busy()) next = next.without_waiters();  // of a busy page its owner wakes them
        if (!region.try_change(page.page, seen, next)) continue;
        if (seen.waiters() && !next.waiters()) region.wake_waiters(page.page);
        break;
    }
    if (error != 0) {
        region.counters().add(Count::write_errors);
        log_.record({Event::Kind::write_failed, error, core::address_of(region.address_of(page.page))});
    } else if (!all_zero) {
        batch.entries[entry].written = true;
        region.counters().add(Count::bytes_written, static_cast<std::int64_t>(region.page_bytes()));
    }
}

// ---- 5 settle

/// Evicts for good what is still in the batch and frees its frames. Pages that cannot be written go back to the zone.
Reclaimed Evictor::settle(StagingBatch& batch, store::WriteQueue& queue,
                          WriteInFlight write_in_flight) FAULTLINE_SIGNAL_SAFE {
    Reclaimed result;
    result.write_error = write_back(batch, queue);
    bool any_kept = false;
    for (std::size_t i = 0; i < batch.pages; ++i) {
        batch.scratch.leaving[i] = claim_to_leave(batch, i);
        any_kept |= batch.scratch.leaving[i] == Leaving::not_yet;
    }
    // Gone from memory before the words say so: where frames stay, whoever finds the page absent may fill it at once.
    result.units = drop_frames(batch);
    for (std::size_t i = 0; i < batch.pages; ++i) {
        if (batch.scratch.leaving[i] == Leaving::for_good) let_staged_page_go(batch, i);
        if (batch.scratch.leaving[i] != Leaving::not_yet) batch.entries[i].page.store(0, std::memory_order_release);
    }
    if (any_kept) {
        const bool nothing_done = result.units == 0 && result.write_error == 0;
        if (nothing_done && write_in_flight == WriteInFlight::wait) wait_for_write(batch);
        staging_.push(batch);
        budget_.changed();  // who found no batch meanwhile must learn of the error, too
    } else {
        staging_.give_back_empty(batch);
    }
    result.progress = result.units > 0;
    budget_.release(result.units);
    return result;
}

void Evictor::settle_forgotten() FAULTLINE_SIGNAL_SAFE {
    store::SequentialWriteQueue queue;
    // Once round the zone: what still has pages goes back in the order it came.
    for (std::size_t batches = staging_.zone_batches(); batches > 0; --batches) {
        StagingBatch* const batch = staging_.pop_oldest(0);
        if (batch == nullptr) return;
        bool forgotten = true;
        for (std::size_t i = 0; i < batch->pages; ++i) forgotten &= batch->page_of(i).region == 0;
        if (forgotten) {
            settle(*batch, queue);
        } else {
            staging_.push(*batch);
        }
    }
}

/// Another thread writes an older version of a page of the batch. Waits until it has: a thread that tried again at once
/// would keep that thread, if its priority is lower, from this CPU. The other thread needs nothing of this batch.
void Evictor::wait_for_write(const StagingBatch& batch) FAULTLINE_SIGNAL_SAFE {
    for (std::size_t i = 0; i < batch.pages; ++i) {
        const PageRef page = batch.page_of(i);
        const Region* const region = page.region == 0 ? nullptr : regions_.find(page.region);
        if (region == nullptr) continue;
        const PageWord seen = region->load(page.page);
        if (seen.staged_at(batch.unit_of(i)) && seen.writing()) return region->wait(page.page, seen);
    }
}

/// Staged and clean -> filling, by us, who will not fill it.
Leaving Evictor::claim_to_leave(StagingBatch& batch, std::size_t entry) FAULTLINE_SIGNAL_SAFE {
    const PageRef page = batch.page_of(entry);
    const Region* const region = page.region == 0 ? nullptr : regions_.find(page.region);
    if (region == nullptr) return Leaving::has_left;
    const StagingUnit unit = batch.unit_of(entry);
    PageWord seen = region->load(page.page);
    for (;;) {
        if (seen.leaving_slot(unit)) {  // a fault is taking it back: it needs nothing of ours, so this ends
            region->wait(page.page, seen);
            seen = region->load(page.page);
            continue;
        }
        if (!seen.staged_at(unit)) return Leaving::has_left;  // taken back or discarded
        if (seen.dirty()) return Leaving::not_yet;
        if (region->try_change(page.page, seen, seen.claimed_for_fill())) return Leaving::for_good;
    }
}

/// Frees the frames that the batch still holds, neighbours with one call. Returns the units.
std::int64_t Evictor::drop_frames(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE {
    iovec* const dropped = batch.scratch.dropped;
    std::size_t drops = 0;
    std::int64_t units = 0;
    std::uint32_t previous_place = 0;  // of what can be dropped with one call: a region, or the staging area
    for (std::size_t i = 0; i < batch.pages; ++i) {
        StagingBatch::Entry& entry = batch.entries[i];
        if (batch.scratch.leaving[i] == Leaving::not_yet || !entry.holds_frame.exchange(false)) continue;
        units += entry.units;
        std::byte* address = staging_.address_of(batch.unit_of(i));
        const PageRef page = batch.page_of(i);
        const Region* const region = page.region == 0 ? nullptr : regions_.find(page.region);
        const mmu::StagedFrames kind = region == nullptr ? mapper_.staged_frames() : region->staged_frames();
        std::uint32_t place = 0;
        if (kind == mmu::StagedFrames::stay) {
            if (batch.scratch.leaving[i] == Leaving::has_left) continue;  // with its region
            address = region->address_of(page.page);
            place = page.region;
        }
        const std::size_t bytes = std::size_t{entry.units} * core::kUnitBytes;
        const bool same_place = drops > 0 && place == previous_place;
        previous_place = place;
        if (same_place &&
            static_cast<std::byte*>(dropped[drops - 1].iov_base) + dropped[drops - 1].iov_len == address) {
            dropped[drops - 1].iov_len += bytes;
        } else {
            dropped[drops++] = {address, bytes};
        }
    }
    if (drops > 0) mapper_.drop({dropped, drops});
    return units;
}

void Evictor::let_staged_page_go(StagingBatch& batch, std::size_t entry) FAULTLINE_SIGNAL_SAFE {
    const PageRef page = batch.page_of(entry);
    const Region& region = *regions_.find(page.region);
    const core::Departure departure = next_departure(batch.entries[entry].policy_tag);
    region.publish(page.page, [departure](PageWord word) { return word.evicted(departure); });
    region.counters().add(Count::evictions);
    if (!batch.entries[entry].written) region.counters().add(Count::clean_evictions);
}

// ---- fork

int Evictor::settle_all(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    int error = 0;
    for (std::size_t batches = staging_.zone_batches(); batches > 0; --batches) {
        StagingBatch* const batch = staging_.pop_oldest(0);
        if (batch == nullptr) return error;
        const Reclaimed settled = settle(*batch, queue);
        if (settled.write_error != 0) error = settled.write_error;
    }
    return error;
}

int Evictor::clean(Region& region, core::PageRange range, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    const bool frames_stay = region.staged_frames() == mmu::StagedFrames::stay;
    int error = 0;
    while (range.count > 0 && error == 0) {
        StagingBatch* const batch = staging_.take_empty();
        if (batch == nullptr) return ENOMEM;
        claim_dirty(region, range, *batch);
        error = forbid_writes(region, *batch);
        const sys::UnseenOrder protected_by_now;
        // Owned and mapped, a page can be read where it is; but not so that its frame must be found by a fault.
        const Runs runs = gather_runs(
            *batch,
            [&](const Region&, std::size_t i) {
                return frames_stay ? staged_bytes(region, *batch, i)
                                   : region.address_of(batch->scratch.written[i].page);
            },
            [&](std::size_t i, int read_error, bool all_zero) {
                finish_cleaning(*batch, i, error != 0 ? error : read_error, all_zero);
            });
        const int written = write_runs(*batch, runs.count, queue, [&](std::size_t i, int write_error) {
            finish_cleaning(*batch, i, error != 0 ? error : write_error, false);
        });
        if (error == 0) error = written != 0 ? written : runs.error;
        if (frames_stay) {
            mapper_.release_staged_bytes(staging_.address_of(batch->first_unit()),
                                         batch->used_units * core::kUnitBytes);
        }
        while (batch->pages > 0) staging_.remove_last(*batch);
        staging_.give_back_empty(*batch);
    }
    return error;
}

/// resident, dirty -> filling, for as many pages from the front of `range` as the batch has room for.
std::size_t Evictor::claim_dirty(Region& region, core::PageRange& range, StagingBatch& batch) FAULTLINE_SIGNAL_SAFE {
    const auto units = static_cast<std::size_t>(region.page_units());
    for (; range.count > 0 && batch.has_room(units); ++range.first, --range.count) {
        PageWord seen = region.load(range.first);
        while (seen.is(PageState::resident) && seen.dirty()) {
            if (!region.try_change(range.first, seen, seen.claimed_for_change())) continue;
            const std::size_t entry = staging_.add(batch, region.ref(range.first), units, 0);
            batch.entries[entry].holds_frame.store(false);  // which stays the page's
            batch.scratch.writing[entry] = true;
            batch.scratch.written[entry] = region.ref(range.first);
            break;
        }
    }
    return batch.pages;
}

/// Of the batch's pages that are not pinned, neighbours with one call.
int Evictor::forbid_writes(Region& region, StagingBatch& batch) FAULTLINE_SIGNAL_SAFE {
    const auto page_at = [&](std::size_t entry) { return std::uint64_t{batch.scratch.written[entry].page}; };
    for (std::size_t i = 0; i < batch.pages;) {
        if (region.load(page_at(i)).pins() > 0) {
            ++i;
            continue;
        }
        std::size_t end = i + 1;
        while (end < batch.pages && page_at(end) == page_at(end - 1) + 1 && region.load(page_at(end)).pins() == 0)
            ++end;
        const int error = sys::wait_out("write-protecting pages", [&] {
            return mapper_.forbid_writes(region.address_of(page_at(i)), (end - i) * region.page_bytes());
        });
        if (error != 0) return error;
        i = end;
    }
    return 0;
}

/// filling -> resident. On error the page stays dirty, and so writable.
void Evictor::finish_cleaning(StagingBatch& batch, std::size_t entry, int error, bool all_zero) FAULTLINE_SIGNAL_SAFE {
    const PageRef page = batch.scratch.written[entry];
    const Region& region = *regions_.find(page.region);
    const PageWord seen = region.load(page.page);
    if (all_zero && seen.has_slot()) region.store().discard(region.offset_of(page.page), region.page_bytes());
    const bool may_be_writable = mapper_.checks_access() || seen.protection() == Access::read_write;
    if (error != 0 && seen.pins() == 0 && may_be_writable) {
        const int refused = sys::wait_out("making a page writable", [&] {
            return mapper_.allow_writes(region.address_of(page.page), region.page_bytes());
        });
        FAULTLINE_REQUIRE(refused == 0, "a page that stays dirty cannot be made writable again");
    }
    const bool has_slot = all_zero ? false : error == 0 || seen.has_slot();
    const bool dirty = error != 0 || seen.pins() > 0;
    region.publish(page.page, [=](PageWord word) { return word.filled(word.payload(), dirty).with_slot(has_slot); });
    if (error == 0 && !all_zero) {
        region.counters().add(Count::bytes_written, static_cast<std::int64_t>(region.page_bytes()));
    }
}

}  // namespace faultline::detail
