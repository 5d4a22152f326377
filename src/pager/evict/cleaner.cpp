#include "pager/evict/cleaner.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "pager/evict/unseen_writes.hpp"
#include "sys/transient.hpp"
#include "sys/unseen_order.hpp"

#include <cerrno>
#include <optional>

namespace faultline::pager {

using core::PageRef;
using core::PageState;
using core::PageWord;

int Cleaner::clean(Region& region, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    UnseenWrites{core_.regions}.find_in(region, {0, region.pages()});
    int error = 0;
    core::PageRange run{};
    const auto clean_run = [&] {
        if (error == 0) error = clean_range(region, run, queue);
    };
    region.table().for_each_touched({0, region.pages()}, [&](std::uint64_t page) {
        if (page != run.end()) {
            clean_run();
            run = {page, 0};
        }
        ++run.count;
    });
    clean_run();
    return error;
}

int Cleaner::clean_range(Region& region, core::PageRange range, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    int error = 0;
    while (range.count > 0 && error == 0) {
        StagingBatch* const batch = core_.staging.take_empty();
        if (batch == nullptr) return ENOMEM;
        claim_dirty(region, range, *batch);
        error = clean_batch(region, *batch, queue);
        while (batch->pages > 0) core_.staging.remove_last(*batch);
        core_.staging.give_back_empty(*batch);
    }
    return error;
}

int Cleaner::clean_batch(Region& region, StagingBatch& batch, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    const int refused = write_protect(region, batch);
    const sys::UnseenOrder protected_by_now;
    const auto bytes_of = [&](const Region&, std::size_t i) -> const std::byte* {
        return region.mapper().mapped_bytes(region.address_of(batch.scratch.written[i].page),
                                            core_.staging.address_of(batch.unit_of(i)), region.page_bytes());
    };
    const int written = writer_.write(batch, queue, bytes_of, [&](std::size_t i, int error, bool all_zero) {
        finish(batch, i, refused != 0 ? refused : error, all_zero);
    });
    core_.mappers.release_copies(core_.staging.address_of(batch.first_unit()), batch.used_units * core::kUnitBytes);
    return refused != 0 ? refused : written;
}

/// resident, dirty -> filling, for as many pages from the front of `range` as the batch has room for.
void Cleaner::claim_dirty(Region& region, core::PageRange& range, StagingBatch& batch) FAULTLINE_SIGNAL_SAFE {
    const auto units = static_cast<std::size_t>(region.page_units());
    for (; range.count > 0 && batch.has_room(units); ++range.first, --range.count) {
        const auto was = region.update_if(range.first, [](PageWord word) {
            const bool dirty = word.is(PageState::resident) && word.dirty();
            return dirty ? std::optional{word.claimed_for_change()} : std::nullopt;
        });
        if (!was) continue;
        const std::size_t entry = core_.staging.add(batch, region.ref(range.first), units, 0, StagedFrame::not_held);
        batch.scratch.writing[entry] = true;
        batch.scratch.written[entry] = region.ref(range.first);
    }
}

/// Write-protects the batch's pages that are not pinned, neighbours with one call. Returns 0 or an error.
int Cleaner::write_protect(Region& region, StagingBatch& batch) FAULTLINE_SIGNAL_SAFE {
    const auto page_at = [&](std::size_t entry) { return std::uint64_t{batch.scratch.written[entry].page}; };
    for (std::size_t i = 0; i < batch.pages;) {
        if (region.load(page_at(i)).pins() > 0) {
            ++i;
            continue;
        }
        std::size_t end = i + 1;
        while (end < batch.pages && page_at(end) == page_at(end - 1) + 1 && region.load(page_at(end)).pins() == 0) {
            ++end;
        }
        const int error = sys::wait_out("write-protecting pages", [&] {
            return region.mapper().write_protect(region.address_of(page_at(i)), (end - i) * region.page_bytes());
        });
        if (error != 0) return error;
        i = end;
    }
    return 0;
}

/// filling -> resident. On error the page stays dirty, and so writable where its access allows.
void Cleaner::finish(StagingBatch& batch, std::size_t entry, int error, bool all_zero) FAULTLINE_SIGNAL_SAFE {
    const PageRef page = batch.scratch.written[entry];
    const Region& region = *core_.regions.find(page.region);
    const PageWord seen = region.load(page.page);
    if (all_zero && seen.has_slot()) region.store().discard(region.offset_of(page.page), region.page_bytes());
    if (error != 0 && seen.pins() == 0) {
        const int refused = sys::wait_out("making a page writable", [&] {
            return region.mapper().restore(region.address_of(page.page), region.page_bytes(), seen.protection(), true);
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

}  // namespace faultline::pager
