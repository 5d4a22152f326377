#include "store/location_audit.hpp"

#include <iterator>

namespace faultline::store {

void LocationAudit::add(const SwapStore& store) {
    store.for_each_page([&](std::uint64_t, SlotNumber first) {
        Page& page = pages_[first];
        page.shape = store.shape();
        ++page.locations;
    });
}

void LocationAudit::check_pages() {
    SlotNumber end = 0;
    for (const auto& [first, page] : pages_) {
        findings_.expect(first >= end, "the page at slot " + std::to_string(first) + " overlaps another page");
        end = first + page.shape.units;
        check_page(first, page);
    }
}

void LocationAudit::check_page(SlotNumber first, const Page& page) {
    const std::string name = "the page at slot " + std::to_string(first);
    findings_.expect_equal(table_.users(first), page.locations, name + ": the number of its users");
    for (std::uint32_t unit = 0; unit < page.shape.units; unit += page.shape.block_units) {
        const SlotWord word = table_.load(first + unit);
        const bool in_memory = word.is(SlotPlace::memory) || word.is(SlotPlace::spilling);
        const bool in_file = word.is(SlotPlace::file) || word.is(SlotPlace::both);
        findings_.expect(in_memory || in_file || word.is(SlotPlace::lost), name + " has a block without bytes");
    }
}

void LocationAudit::check_other_slots() {
    std::map<std::uint32_t, std::uint64_t> slots_of_shelf;
    for (const auto& [first, page] : pages_) slots_of_shelf[first >> SlotShelf::kShift] += page.shape.units;
    table_.for_each([&](std::uint32_t number, const SlotShelf& shelf) {
        findings_.expect_equal<std::uint64_t>(shelf.allotted.load(), slots_of_shelf[number],
                                              "the number of allotted slots of shelf " + std::to_string(number));
        for (std::uint32_t chunk = 0; chunk < shelf.usable_chunks; ++chunk) {
            check_chunk((number << SlotShelf::kShift) + chunk * SlotChunk::kSlots, shelf, shelf.chunks[chunk]);
        }
    });
}

/// Checks each slot of a chunk, unless it was never used.
void LocationAudit::check_chunk(SlotNumber first, const SlotShelf& shelf, const SlotChunk& chunk) {
    const bool has_blocks = SlotChunk::next_in(chunk.blocks, true, 0) < SlotChunk::kSlots;
    if (chunk.state == SlotChunk::State::fresh && !has_blocks) return;
    for (std::uint32_t i = 0; i < SlotChunk::kSlots; ++i) {
        const SlotNumber slot = first + i;
        if (in_page(slot)) {
            const bool allotted = SlotChunk::next_in(chunk.allotted, true, i) == i;
            findings_.expect(shelf.frozen || allotted, "slot " + std::to_string(slot) + " of a page is free");
        } else if (!table_.load(slot).is(SlotPlace::unused)) {
            findings_.expect(false, "slot " + std::to_string(slot) + " of no page has a word");
        }
    }
}

bool LocationAudit::in_page(SlotNumber slot) const {
    const auto next = pages_.upper_bound(slot);
    return next != pages_.begin() && slot < std::prev(next)->first + std::prev(next)->second.shape.units;
}

}  // namespace faultline::store
