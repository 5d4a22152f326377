// The part of CompressedPool that frees segments: moving live entries together, and spilling them to the stores behind.

#include "store/compressed_pool.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

namespace faultline::store {
namespace {

constexpr std::size_t kSpillBufferBytes = std::size_t{256} << 10;
constexpr std::size_t kMostClaimed = kSpillBufferBytes / core::kUnitBytes;

/// Returns the most live bytes that make moving worthwhile, for one segment or for the whole limit: a quarter is dead.
constexpr std::size_t sparse(std::size_t bytes) noexcept { return bytes / 4 * 3; }

}  // namespace

/// Working memory of a spilling thread, whose stack may be too small for it.
struct CompressedPool::SpillSpace {
    struct Item {
        std::uint64_t block;
        std::uint32_t store;
        std::uint32_t offset;  // in the segment
        friend bool operator<(const Item& left, const Item& right) noexcept {
            return left.store != right.store ? left.store < right.store : left.block < right.block;
        }
    };
    static constexpr std::size_t kMostItems = SegmentPool::kSegmentBytes / (sizeof(Entry) + BlockWord::kSlotAlignment);

    std::span<std::byte> buffer;
    std::size_t buffered = 0;  // in bytes
    std::size_t items = 0;
    std::size_t claims = 0;
    std::size_t writes = 0;
    Item item[kMostItems];
    SpillClaim claimed[kMostClaimed];
    StoreWrite write[kMostClaimed];
};

CompressedPool::CompressedPool(std::size_t capacity, std::size_t limit)
    : segments_{capacity, limit},
      spill_memory_{sys::Mapping::reserve(
          kSpillSpaces * (core::align_up(sizeof(SpillSpace), core::kUnitBytes) + kSpillBufferBytes), core::kUnitBytes,
          true, "spilling compressed pages")} {
    for (unsigned i = 0; i < kSpillSpaces; ++i) {
        auto* const space = new (&spill_space(i)) SpillSpace;
        space->buffer = spill_memory_.bytes().subspan(i * kSpillBufferBytes, kSpillBufferBytes);
    }
}

/// Returns working memory `index`. All of them are behind the buffers in spill_memory_.
CompressedPool::SpillSpace& CompressedPool::spill_space(unsigned index) const noexcept {
    std::byte* const spaces = spill_memory_.data() + kSpillSpaces * kSpillBufferBytes;
    return *std::launder(
        reinterpret_cast<SpillSpace*>(spaces + index * core::align_up(sizeof(SpillSpace), core::kUnitBytes)));
}

int CompressedPool::spill_some(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    const unsigned space = spill_slots_.take();
    Spilled last{true, 0};
    while (last.freed && free_is_below(8)) last = free_segment(space, queue);
    spill_slots_.give_back(space);
    return last.error;
}

int CompressedPool::spill_all(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    const unsigned space = spill_slots_.take();
    Spilled last{true, 0};
    while (last.freed && segments_.used() > 0) last = spill_oldest(space, queue);
    spill_slots_.give_back(space);
    return last.error == 0 && segments_.used() > 0 ? EIO : last.error;
}

CompressedPool::Spilled CompressedPool::free_segment(unsigned space, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    if (counters_.compressed_bytes.load(std::memory_order_relaxed) <= sparse(segments_.limit())) {
        if (empty_sparse_segment()) return {true, 0};
    }
    return spill_oldest(space, queue);
}

/// Calls `visit(slot, entry)` for each entry of a taken segment until it returns false.
template <typename Visit>
void CompressedPool::for_each_entry(const Segment& segment, Visit visit) const FAULTLINE_SIGNAL_SAFE {
    for (std::uint32_t offset = 0; offset < segment.used_bytes;) {
        const PoolSlot slot{segment.index, offset};
        const Entry& entry = entry_at(slot);
        if (!is_sound(entry) || !visit(slot, entry)) return;
        offset += SegmentPool::rounded(sizeof(Entry) + entry.bytes);
    }
}

// ---- Moving

bool CompressedPool::empty_sparse_segment() FAULTLINE_SIGNAL_SAFE {
    Segment* const segment = segments_.take_sparse(sparse(SegmentPool::kSegmentBytes));
    if (segment == nullptr) return false;
    for_each_entry(*segment, [&](PoolSlot slot, const Entry&) { return move_entry(slot); });
    return segments_.give_back(*segment);
}

/// Moves an entry to the open segment if it is live. Returns false if there is no room.
bool CompressedPool::move_entry(PoolSlot slot) FAULTLINE_SIGNAL_SAFE {
    const Entry& entry = entry_at(slot);
    const std::size_t bytes = sizeof(Entry) + entry.bytes;
    const BlockTable* const table = start_using(entry.store);
    if (table == nullptr) return true;
    bool moved = true;
    BlockWord seen = entry.block < table->blocks() ? table->load(entry.block) : BlockWord{};
    if (seen.in(slot)) {
        const SegmentPool::Room room = segments_.reserve(bytes, SegmentPool::Purpose::moving);
        moved = static_cast<bool>(room);
        if (moved) {
            std::memcpy(room.bytes(), &entry, bytes);
            while (seen.in(slot) && !table->try_change(entry.block, seen, seen.moved_to(room.slot()))) {
            }
            segments_.kill(seen.in(slot) ? slot : room.slot(), bytes);
        }
    }
    stop_using(entry.store);
    return moved;
}

// ---- Spilling

CompressedPool::Spilled CompressedPool::spill_oldest(unsigned space, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    Segment* const segment = segments_.take_oldest();
    if (segment == nullptr) return {};
    const int error = spill_segment(*segment, spill_space(space), queue);
    return {segments_.give_back(*segment), error};
}

/// Spills the live entries of a taken segment. Returns 0 or the first error; then only a part was spilled.
int CompressedPool::spill_segment(const Segment& segment, SpillSpace& space, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    list_entries(segment, space);
    int error = 0;
    for (std::size_t i = 0; i < space.items && error == 0;) {
        const PoolSlot slot{segment.index, space.item[i].offset};
        const Claim claimed = claim(space, slot);
        if (claimed != Claim::busy) ++i;
        // An older version of the block is being written. Write our claims before waiting, because other threads may
        // wait for our busy marks.
        if (claimed == Claim::busy || space.claims == kMostClaimed ||
            space.buffer.size() - space.buffered < kLargestBlockBytes) {
            error = write_claimed(space, queue);
        }
        if (claimed == Claim::busy) wait_for_entry(slot);
    }
    const int last_error = write_claimed(space, queue);
    return error != 0 ? error : last_error;
}

/// Lists the entries sorted by store and block, so that adjacent blocks go into one write.
void CompressedPool::list_entries(const Segment& segment, SpillSpace& space) const FAULTLINE_SIGNAL_SAFE {
    space.items = 0;
    for_each_entry(segment, [&](PoolSlot slot, const Entry& entry) {
        space.item[space.items++] = {entry.block, entry.store, slot.offset};
        return space.items < SpillSpace::kMostItems;
    });
    std::sort(space.item, space.item + space.items);
}

/// Marks an entry's block busy and decompresses it into the buffer, after the blocks claimed before. An entry that its
/// block's word does not name is dead.
CompressedPool::Claim CompressedPool::claim(SpillSpace& space, PoolSlot slot) FAULTLINE_SIGNAL_SAFE {
    const Entry& entry = entry_at(slot);
    const BlockTable* const table = start_using(entry.store);
    if (table == nullptr) return Claim::dead;
    BlockWord seen = entry.block < table->blocks() ? table->load(entry.block) : BlockWord{};
    while (seen.in(slot) && !seen.busy()) {
        if (!table->try_change(entry.block, seen, seen.claimed_for_spill())) continue;
        space.claimed[space.claims++] = {table, entry.block, slot, entry.store, 0};
        const std::span<std::byte> bytes = space.buffer.subspan(space.buffered, table->block_bytes());
        if (decode(entry, table->seed(entry.block, seen.generation()), bytes)) {
            add_write(space, bytes, seen.generation());
        } else {
            give_up_damaged(space);
        }
        return Claim::taken;
    }
    stop_using(entry.store);
    return seen.in(slot) ? Claim::busy : Claim::dead;
}

/// Adds the block claimed last to the write before it if it is adjacent, else to a new write.
void CompressedPool::add_write(SpillSpace& space, std::span<const std::byte> bytes,
                               std::uint32_t generation) FAULTLINE_SIGNAL_SAFE {
    SpillClaim& last = space.claimed[space.claims - 1];
    const BlockTable& table = *last.table;
    table.set_checksum(last.block, checksum_of(bytes, table.seed(last.block, generation)));
    space.buffered += bytes.size();
    const std::uint64_t offset = table.offset_of(last.block);
    StoreWrite* const before = space.writes > 0 ? &space.write[space.writes - 1] : nullptr;
    if (before != nullptr && before->store == &table.behind() && before->offset + before->bytes.size() == offset) {
        before->bytes = {before->bytes.data(), before->bytes.size() + bytes.size()};
    } else {
        space.write[space.writes++] = {&table.behind(), offset, bytes, 0};
    }
    last.write = static_cast<std::uint32_t>(space.writes - 1);
}

/// Marks the block claimed last, which cannot be decompressed, as lost. Reads of it fail, and its segment can be freed.
void CompressedPool::give_up_damaged(SpillSpace& space) FAULTLINE_SIGNAL_SAFE {
    const SpillClaim lost = space.claimed[--space.claims];
    finish_claim(lost, [&](BlockWord word) { return word.in(lost.slot) ? word.damaged() : word.released(); });
    CompressedCounters::add(counters_.damaged);
    notify_not_busy();
}

/// Clears the busy mark of a claimed block. If the block's word no longer names the entry, kills the entry. Returns
/// true in that case.
template <typename Edge>
bool CompressedPool::finish_claim(const SpillClaim& claimed, Edge edge) FAULTLINE_SIGNAL_SAFE {
    const BlockWord before = claimed.table->change(claimed.block, edge);
    const bool moved = before.in(claimed.slot) && !edge(before).in(claimed.slot);
    if (moved) release_entry(*claimed.table, before);
    stop_using(claimed.store);
    return moved;
}

void CompressedPool::wait_for_entry(PoolSlot slot) FAULTLINE_SIGNAL_SAFE {
    const Entry& entry = entry_at(slot);
    const BlockTable* const table = start_using(entry.store);
    if (table == nullptr) return;
    wait_while_busy(*table, entry.block);
    stop_using(entry.store);
}

/// Writes the claimed blocks. Returns 0 or the first error. Blocks that were not written stay in the pool.
int CompressedPool::write_claimed(SpillSpace& space, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    if (space.claims == 0) return 0;
    queue.write({space.write, space.writes});
    int first_error = 0;
    for (std::size_t i = 0; i < space.claims; ++i) {
        const SpillClaim& claimed = space.claimed[i];
        const int error = space.write[claimed.write].error;
        if (first_error == 0) first_error = error;
        const bool moved = finish_claim(claimed, [&](BlockWord word) {
            return error == 0 && word.in(claimed.slot) ? word.spilled() : word.released();
        });
        if (moved) CompressedCounters::add(counters_.spills);
    }
    space.claims = space.writes = space.buffered = 0;
    notify_not_busy();
    return first_error;
}

}  // namespace faultline::store
