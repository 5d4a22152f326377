// Where the store has the bytes of a page: the questions that decide whether a page that leaves keeps a compressed
// copy, and whether one that becomes dirty gives up its compressed bytes. Stager, BatchFinisher, PageFill and
// FaultResolver ask.
#pragma once

#include "core/page_word.hpp"
#include "core/signal_safe.hpp"
#include "pager/region/region.hpp"
#include "store/backing_store.hpp"

#include <cstdint>

namespace faultline::pager {

/// Returns true if the store wants a copy of a page that it has. Signal-safe. The caller owns the page.
[[nodiscard]] inline bool wants_copy(const Region& region, std::uint64_t page) FAULTLINE_SIGNAL_SAFE {
    return region.load(page).has_slot() && !region.is_dead(page) && region.store().wants_copy(region.offset_of(page));
}

/// Returns true if the bytes of a page of 4 KiB are compressed in memory and in no file, and no write of them is in
/// flight. Signal-safe. The caller owns the page.
[[nodiscard]] inline bool is_only_compressed(const Region& region, std::uint64_t page) FAULTLINE_SIGNAL_SAFE {
    const core::PageWord word = region.load(page);
    return word.has_slot() && !word.writing() && region.page_units() == 1 &&
           region.store().whereabouts(region.offset_of(page)).place == store::Whereabouts::Place::compressed;
}

}  // namespace faultline::pager
