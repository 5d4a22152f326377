#include "support/slot_audit.hpp"

#include "store/swap_store.hpp"

#include <algorithm>
#include <bit>

namespace faultline::store {
namespace {

using State = SlotChunk::State;

std::uint32_t ones_of(const SlotChunk::Bits& bits) {
    std::uint32_t count = 0;
    for (const std::uint64_t word : bits) count += static_cast<std::uint32_t>(std::popcount(word));
    return count;
}

SlotChunk::Bits without(const SlotChunk::Bits& bits, const SlotChunk::Bits& others) {
    SlotChunk::Bits left{};
    for (std::size_t word = 0; word < bits.size(); ++word) left[word] = bits[word] & ~others[word];
    return left;
}

}  // namespace

std::vector<std::string> SlotAudit::of(SlotAllocator& allocator) {
    SlotAudit audit{allocator};
    audit.check_lists();
    audit.check_chunks();
    audit.check_sums();
    return audit.problems_;
}

std::vector<std::string> SlotAudit::of(SwapSpace& space) {
    std::vector<std::string> problems = of(space.slots().allocator());
    SlotAudit audit{space.slots().allocator()};
    audit.count_locations(space);
    audit.check_pages();
    audit.check_allotted_slots();
    problems.insert(problems.end(), audit.problems_.begin(), audit.problems_.end());
    return problems;
}

// ---- The allocator

void SlotAudit::check_lists() {
    for (unsigned size_class = 0; size_class < SlotAllocator::kSizeClasses; ++size_class) {
        const std::string name = "a list of pages of 2^" + std::to_string(size_class) + " slots";
        for (std::uint32_t bucket = 0; bucket < SlotAllocator::kBuckets; ++bucket) {
            check_list(allocator_.partial_[size_class][bucket], State::partial, name);
        }
        const ChunkNumber open = allocator_.open_[size_class].chunk;
        if (open == 0) continue;
        expect(listed_.emplace(open, State::open).second, name + ": the open chunk is on a list, too");
        expect_equal<unsigned>(allocator_.chunk_at(open).size_class, size_class, name + ": the size of the open chunk");
    }
    check_list(allocator_.empty_, State::empty, "the list of empty chunks");
    check_list(allocator_.clean_, State::fresh, "the list of clean chunks");
}

void SlotAudit::check_list(const SlotAllocator::List& list, State state, const std::string& name) {
    ChunkNumber before = 0;
    for (ChunkNumber number = list.first; number != 0; number = allocator_.chunk_at(number).next) {
        const SlotChunk& chunk = allocator_.chunk_at(number);
        if (!listed_.emplace(number, state).second) {
            problems_.push_back(name + " has a chunk that another list has");
            return;
        }
        expect_equal(chunk.before, before, name + ": the chunk before " + std::to_string(number));
        expect(chunk.state == state, name + " has a chunk in another state");
        if (state == State::partial) {
            const SlotAllocator::List& own =
                allocator_.partial_[chunk.size_class][chunk.used / SlotAllocator::kPerBucket];
            expect(&own == &list, name + " has a chunk that is fuller, emptier or of another size");
        }
        before = number;
    }
    expect_equal(list.last, before, name + ": the last chunk");
}

void SlotAudit::check_chunks() {
    for (const std::uint32_t number : allocator_.shelves_) {
        const SlotShelf& shelf = *table_.shelf(number);
        expect(!shelf.frozen, "slots are allotted from a frozen shelf");
        const std::uint64_t before = used_;
        for (std::uint32_t chunk = 0; chunk < shelf.usable_chunks; ++chunk) {
            check_chunk((number << SlotAllocator::kShelfShift) + chunk, shelf.chunks[chunk]);
        }
        expect_equal<std::uint64_t>(shelf.allotted.load(), used_ - before, "the allotted slots of a shelf");
    }
}

void SlotAudit::check_chunk(ChunkNumber number, const SlotChunk& chunk) {
    const std::string name = "chunk " + std::to_string(number);
    expect_equal<std::uint32_t>(chunk.used, ones_of(chunk.allotted), name + ": used");
    expect_equal<std::uint32_t>(chunk.waste, ones_of(without(chunk.blocks, chunk.allotted)), name + ": waste");
    expect(ones_of(without(chunk.allotted, chunk.blocks)) == 0, name + " has allotted slots without blocks");
    expect(ones_of(without(chunk.leaving, chunk.allotted)) == 0, name + " has free slots that are leaving");
    used_ += chunk.used;
    waste_ += chunk.waste;
    if (chunk.state == State::empty) ++empty_;

    const auto found = listed_.find(number);
    const bool unlisted = chunk.state == State::full || chunk.state == State::punching;
    const bool never_used = chunk.state == State::fresh && ones_of(chunk.blocks) == 0;
    if (found != listed_.end()) {
        expect(found->second == chunk.state, name + " is not in the state of its list");
    } else {
        expect(unlisted || never_used, name + " is on no list");
    }
    expect((chunk.state == State::full) <= (chunk.used == SlotChunk::kSlots), name + " is full with free slots");
    expect((chunk.state == State::partial) <= (chunk.used > 0), name + " is partial without a slot");
    expect((chunk.state == State::empty) <= (chunk.used == 0 && chunk.waste > 0), name + " is empty with slots");
    expect((chunk.state == State::fresh) <= (chunk.used == 0 && chunk.waste == 0), name + " is fresh with slots");
}

void SlotAudit::check_sums() {
    table_.for_each([this](std::uint32_t, const SlotShelf& shelf) {
        if (shelf.frozen) used_ += shelf.allotted.load();
    });
    expect_equal(allocator_.allotted_.load(), used_, "the sum of allotted slots");
    expect_equal(allocator_.waste_.load(), waste_, "the sum of waste");
    expect_equal(allocator_.empty_chunks_.load(), empty_, "the number of empty chunks");
}

// ---- The pages

void SlotAudit::count_locations(SwapSpace& space) {
    for (const SwapStore* const store : space.stores_) {
        store->for_each_page([&](std::uint64_t, SlotNumber first) {
            Page& page = pages_[first];
            page.shape = store->shape();
            ++page.locations;
        });
    }
}

void SlotAudit::check_pages() {
    SlotNumber end = 0;
    for (const auto& [first, page] : pages_) {
        const std::string name = "the page at slot " + std::to_string(first);
        expect(first >= end, name + " overlaps another page");
        end = first + page.shape.units;
        expect_equal(table_.users(first), page.locations, name + ": the number of its users");
        for (std::uint32_t unit = 0; unit < page.shape.units; unit += page.shape.block_units) {
            const SlotWord word = table_.load(first + unit);
            const bool has_bytes = word.is(SlotPlace::memory) || word.is(SlotPlace::file) || word.is(SlotPlace::lost);
            expect(has_bytes, name + " has a block without bytes");
        }
    }
}

/// Each shelf has as many allotted slots as its pages, and words of these alone are in use.
void SlotAudit::check_allotted_slots() {
    std::map<std::uint32_t, std::uint64_t> slots_of_shelf;
    for (const auto& [first, page] : pages_) slots_of_shelf[first >> SlotShelf::kShift] += page.shape.units;
    table_.for_each([&](std::uint32_t number, const SlotShelf& shelf) {
        expect_equal<std::uint64_t>(shelf.allotted.load(), slots_of_shelf[number],
                                    "the allotted slots of shelf " + std::to_string(number));
        for (std::uint32_t chunk = 0; chunk < shelf.usable_chunks; ++chunk) {
            if (ones_of(shelf.chunks[chunk].blocks) == 0 && shelf.chunks[chunk].state == State::fresh) continue;
            for (std::uint32_t i = 0; i < SlotChunk::kSlots; ++i) {
                const SlotNumber slot = (number << SlotShelf::kShift) + chunk * SlotChunk::kSlots + i;
                const auto next = pages_.upper_bound(slot);
                const bool in_page =
                    next != pages_.begin() && slot < std::prev(next)->first + std::prev(next)->second.shape.units;
                if (in_page) {
                    expect(shelf.frozen || SlotChunk::next_in(shelf.chunks[chunk].allotted, true, i) == i,
                           "slot " + std::to_string(slot) + " of a page is free");
                } else {
                    expect(table_.load(slot).is(SlotPlace::unused),
                           "free slot " + std::to_string(slot) + " has a word");
                }
            }
        }
    });
}

}  // namespace faultline::store
