// Checks that the records of a SlotAllocator agree: the bits of the chunks, the lists and the sums.

#include "store/findings.hpp"
#include "store/slot_allocator.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

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

class SlotAllocator::Audit {
public:
    explicit Audit(const SlotAllocator& allocator) : allocator_{allocator} {}

    std::vector<std::string> run() {
        check_lists();
        check_chunks();
        check_sums();
        return findings_.take();
    }

private:
    void check_lists();
    void check_list(const List& list, State state, const std::string& name);
    void check_chunks();
    void check_chunk(ChunkNumber number, const SlotChunk& chunk);
    void check_state(const SlotChunk& chunk, const std::string& name);
    void check_sums();

    const SlotAllocator& allocator_;
    Findings findings_;
    std::map<ChunkNumber, State> listed_;
    std::uint64_t used_ = 0;
    std::uint64_t waste_ = 0;
    std::uint32_t empty_ = 0;
};

std::vector<std::string> SlotAllocator::problems() const { return Audit{*this}.run(); }

void SlotAllocator::Audit::check_lists() {
    for (unsigned size_class = 0; size_class < kSizeClasses; ++size_class) {
        const std::string name = "a list of pages of 2^" + std::to_string(size_class) + " slots";
        for (const List& bucket : allocator_.partial_[size_class]) check_list(bucket, State::partial, name);
        const ChunkNumber open = allocator_.open_[size_class].chunk;
        if (open == 0) continue;
        findings_.expect(listed_.emplace(open, State::open).second, name + ": the open chunk is on a list, too");
        findings_.expect_equal<unsigned>(allocator_.chunk_at(open).size_class, size_class,
                                         name + ": the size of the open chunk");
    }
    check_list(allocator_.empty_, State::empty, "the list of empty chunks");
    check_list(allocator_.clean_, State::fresh, "the list of clean chunks");
}

void SlotAllocator::Audit::check_list(const List& list, State state, const std::string& name) {
    ChunkNumber before = 0;
    for (ChunkNumber number = list.first; number != 0; number = allocator_.chunk_at(number).next) {
        const SlotChunk& chunk = allocator_.chunk_at(number);
        const bool first_seen = listed_.emplace(number, state).second;
        findings_.expect(first_seen, name + " has a chunk that another list has");
        if (!first_seen) return;
        findings_.expect_equal(chunk.before, before, name + ": the chunk before " + std::to_string(number));
        findings_.expect(chunk.state == state, name + " has a chunk in another state");
        if (state == State::partial) {
            const List& own = allocator_.partial_[chunk.size_class][chunk.used / kPerBucket];
            findings_.expect(&own == &list, name + " has a chunk that is fuller, emptier or of another size");
        }
        before = number;
    }
    findings_.expect_equal(list.last, before, name + ": the last chunk");
}

void SlotAllocator::Audit::check_chunks() {
    for (const std::uint32_t number : allocator_.shelves_) {
        const SlotShelf& shelf = *allocator_.table_.shelf(number);
        findings_.expect(!shelf.frozen, "slots are allotted from a frozen shelf");
        const std::uint64_t before = used_;
        for (std::uint32_t chunk = 0; chunk < shelf.usable_chunks; ++chunk) {
            check_chunk((number << kShelfShift) + chunk, shelf.chunks[chunk]);
        }
        findings_.expect_equal<std::uint64_t>(shelf.allotted.load(), used_ - before, "the allotted slots of a shelf");
    }
}

void SlotAllocator::Audit::check_chunk(ChunkNumber number, const SlotChunk& chunk) {
    const std::string name = "chunk " + std::to_string(number);
    findings_.expect_equal<std::uint32_t>(chunk.used, ones_of(chunk.allotted), name + ": used");
    findings_.expect_equal<std::uint32_t>(chunk.waste, ones_of(without(chunk.blocks, chunk.allotted)),
                                          name + ": waste");
    findings_.expect(ones_of(without(chunk.allotted, chunk.blocks)) == 0, name + " has allotted slots without blocks");
    findings_.expect(ones_of(without(chunk.leaving, chunk.allotted)) == 0, name + " has free slots that are leaving");
    used_ += chunk.used;
    waste_ += chunk.waste;
    if (chunk.state == State::empty) ++empty_;

    if (const auto found = listed_.find(number); found != listed_.end()) {
        findings_.expect(found->second == chunk.state, name + " is not in the state of its list");
    } else {
        const bool unlisted = chunk.state == State::full || chunk.state == State::punching;
        const bool never_used = chunk.state == State::fresh && ones_of(chunk.blocks) == 0;
        findings_.expect(unlisted || never_used, name + " is on no list");
    }
    check_state(chunk, name);
}

void SlotAllocator::Audit::check_state(const SlotChunk& chunk, const std::string& name) {
    const auto expect = [&](State state, bool holds, const char* what) {
        findings_.expect(chunk.state != state || holds, name + what);
    };
    expect(State::full, chunk.used == SlotChunk::kSlots, " is full with free slots");
    expect(State::partial, chunk.used > 0, " is partial without a slot");
    expect(State::empty, chunk.used == 0 && chunk.waste > 0, " is empty with slots");
    expect(State::fresh, chunk.used == 0 && chunk.waste == 0, " is fresh with slots");
}

void SlotAllocator::Audit::check_sums() {
    allocator_.table_.for_each([this](std::uint32_t, const SlotShelf& shelf) {
        if (shelf.frozen) used_ += shelf.allotted.load();
    });
    findings_.expect_equal(allocator_.allotted_.load(), used_, "the sum of allotted slots");
    findings_.expect_equal(allocator_.waste_.load(), waste_, "the sum of waste");
    findings_.expect_equal(allocator_.empty_chunks_.load(), empty_, "the number of empty chunks");
}

}  // namespace faultline::store
