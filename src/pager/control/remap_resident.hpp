// remap_resident: the loop of control calls that change how resident pages are mapped: Protector for pages of a region,
// ViewMapper for pages in views.
#pragma once

#include "core/page_range.hpp"
#include "core/page_word.hpp"
#include "pager/evict/room_maker.hpp"
#include "pager/region/fault_path_section.hpp"
#include "pager/region/range_pieces.hpp"
#include "pager/region/region.hpp"
#include "sys/mapping_limit.hpp"

#include <cstdint>
#include <optional>

namespace faultline::pager {

/// Calls `map(address, word)` for each resident page of the range for which `wanted(word)` is true, and owns the page
/// meanwhile. `map` returns 0 or an errno, and is called again after a transient error. Ends the process if an error
/// stays.
template <typename Wanted, typename Map>
void remap_resident(RoomMaker& room, const Region& region, core::PageRange range, Wanted wanted, Map map) {
    for_each_piece(range, [&](core::PageRange piece) {
        const FaultPathSection section;
        region.table().for_each_touched(piece, [&](std::uint64_t page) {
            const auto was = region.wait_and_claim(page, [&](core::PageWord word) {
                const bool found = word.is(core::PageState::resident) && wanted(word);
                return found ? std::optional{word.claimed_for_change()} : std::nullopt;
            });
            if (!was) return;
            const int error = room.retry([&] { return map(region.address_of(page), *was); });
            FAULTLINE_REQUIRE_MAPPED(error, "a page's protection cannot be changed");
            region.publish(page, [](core::PageWord word) { return word.change_ended(word.dirty()); });
        });
    });
}

}  // namespace faultline::pager
