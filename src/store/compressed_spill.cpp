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

/// Spills one segment at a time. Holds the working memory of a spilling thread, whose stack may be too small for it.
class CompressedPool::Spiller {
public:
    Spiller(CompressedPool& pool, std::span<std::byte> buffer) noexcept : pool_{pool}, buffer_{buffer} {}

    /// Spills the live entries of a taken segment. Returns 0 or the first error; then only a part was spilled.
    int spill(const Segment& segment, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

private:
    struct Item {
        std::uint64_t block;
        std::uint32_t store;
        std::uint32_t offset;  // in the segment
        friend bool operator<(const Item& left, const Item& right) noexcept {
            return left.store != right.store ? left.store < right.store : left.block < right.block;
        }
    };
    struct ClaimedBlock {
        const BlockTable* table;
        std::uint64_t block;
        PoolSlot slot;
        std::uint32_t store;
        std::uint32_t write;  // number of the write that includes the block
    };
    enum class Claim : std::uint8_t { taken, dead, busy };
    static constexpr std::size_t kMostItems = SegmentPool::kSegmentBytes / (sizeof(Entry) + BlockWord::kSlotAlignment);

    void list_entries(const Segment& segment) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Claim claim(PoolSlot slot) FAULTLINE_SIGNAL_SAFE;
    void add_write(std::span<const std::byte> bytes, std::uint32_t generation) FAULTLINE_SIGNAL_SAFE;
    void give_up_damaged() FAULTLINE_SIGNAL_SAFE;
    template <typename Edge>
    bool finish_claim(const ClaimedBlock& claimed, Edge edge) FAULTLINE_SIGNAL_SAFE;
    void wait_for_entry(PoolSlot slot) FAULTLINE_SIGNAL_SAFE;
    int write_claimed(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    CompressedPool& pool_;
    std::span<std::byte> buffer_;
    std::size_t buffered_ = 0;  // in bytes
    std::size_t items_ = 0;
    std::size_t claims_ = 0;
    std::size_t writes_ = 0;
    Item item_[kMostItems];
    ClaimedBlock claimed_[kMostClaimed];
    StoreWrite write_[kMostClaimed];
};

CompressedPool::CompressedPool(std::size_t capacity, std::size_t limit)
    : segments_{capacity, limit},
      spill_memory_{
          sys::Mapping::reserve(kSpillers * (core::align_up(sizeof(Spiller), core::kUnitBytes) + kSpillBufferBytes),
                                core::kUnitBytes, true, "spilling compressed pages")} {
    for (unsigned i = 0; i < kSpillers; ++i) {
        new (&spiller_at(i)) Spiller{*this, spill_memory_.bytes().subspan(i * kSpillBufferBytes, kSpillBufferBytes)};
    }
}

/// Returns spiller `index`. All of them are behind the buffers in spill_memory_.
CompressedPool::Spiller& CompressedPool::spiller_at(unsigned index) const noexcept {
    std::byte* const spillers = spill_memory_.data() + kSpillers * kSpillBufferBytes;
    return *std::launder(
        reinterpret_cast<Spiller*>(spillers + index * core::align_up(sizeof(Spiller), core::kUnitBytes)));
}

int CompressedPool::spill_some(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    const unsigned spiller = free_spillers_.take();
    Spilled last{true, 0};
    while (last.freed && free_is_below(8)) last = free_segment(spiller, queue);
    free_spillers_.give_back(spiller);
    return last.error;
}

int CompressedPool::spill_all(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    const unsigned spiller = free_spillers_.take();
    Spilled last{true, 0};
    while (last.freed && segments_.used() > 0) last = spill_oldest(spiller, queue);
    free_spillers_.give_back(spiller);
    return last.error == 0 && segments_.used() > 0 ? EIO : last.error;
}

CompressedPool::Spilled CompressedPool::free_segment(unsigned spiller, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    if (counters_.compressed_bytes.load(std::memory_order_relaxed) <= sparse(segments_.limit())) {
        if (empty_sparse_segment()) return {true, 0};
    }
    return spill_oldest(spiller, queue);
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
    const BlockTable* const table = tables_.start_using(entry.store);
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
    tables_.stop_using(entry.store);
    return moved;
}

// ---- Spilling

CompressedPool::Spilled CompressedPool::spill_oldest(unsigned spiller, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    Segment* const segment = segments_.take_oldest();
    if (segment == nullptr) return {};
    const int error = spiller_at(spiller).spill(*segment, queue);
    return {segments_.give_back(*segment), error};
}

int CompressedPool::Spiller::spill(const Segment& segment, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    list_entries(segment);
    int error = 0;
    for (std::size_t i = 0; i < items_ && error == 0;) {
        const PoolSlot slot{segment.index, item_[i].offset};
        const Claim claimed = claim(slot);
        if (claimed != Claim::busy) ++i;
        // An older version of the block is being written. Write our claims before waiting, because other threads may
        // wait for our busy marks.
        if (claimed == Claim::busy || claims_ == kMostClaimed || buffer_.size() - buffered_ < kLargestBlockBytes) {
            error = write_claimed(queue);
        }
        if (claimed == Claim::busy) wait_for_entry(slot);
    }
    const int last_error = write_claimed(queue);
    return error != 0 ? error : last_error;
}

/// Lists the entries sorted by store and block, so that adjacent blocks go into one write.
void CompressedPool::Spiller::list_entries(const Segment& segment) FAULTLINE_SIGNAL_SAFE {
    items_ = 0;
    pool_.for_each_entry(segment, [&](PoolSlot slot, const Entry& entry) {
        item_[items_++] = {entry.block, entry.store, slot.offset};
        return items_ < kMostItems;
    });
    std::sort(item_, item_ + items_);
}

/// Marks an entry's block busy and decompresses it into the buffer, after the blocks claimed before. An entry that its
/// block's word does not name is dead.
CompressedPool::Spiller::Claim CompressedPool::Spiller::claim(PoolSlot slot) FAULTLINE_SIGNAL_SAFE {
    const Entry& entry = pool_.entry_at(slot);
    const BlockTable* const table = pool_.tables_.start_using(entry.store);
    if (table == nullptr) return Claim::dead;
    BlockWord seen = entry.block < table->blocks() ? table->load(entry.block) : BlockWord{};
    while (seen.in(slot) && !seen.busy()) {
        if (!table->try_change(entry.block, seen, seen.claimed_for_spill())) continue;
        claimed_[claims_++] = {table, entry.block, slot, entry.store, 0};
        const std::span<std::byte> bytes = buffer_.subspan(buffered_, table->block_bytes());
        if (pool_.decode(entry, table->seed(entry.block, seen.generation()), bytes)) {
            add_write(bytes, seen.generation());
        } else {
            give_up_damaged();
        }
        return Claim::taken;
    }
    pool_.tables_.stop_using(entry.store);
    return seen.in(slot) ? Claim::busy : Claim::dead;
}

/// Adds the block claimed last to the write before it if it is adjacent, else to a new write.
void CompressedPool::Spiller::add_write(std::span<const std::byte> bytes,
                                        std::uint32_t generation) FAULTLINE_SIGNAL_SAFE {
    ClaimedBlock& last = claimed_[claims_ - 1];
    const BlockTable& table = *last.table;
    table.set_checksum(last.block, checksum_of(bytes, table.seed(last.block, generation)));
    buffered_ += bytes.size();
    const std::uint64_t offset = table.offset_of(last.block);
    StoreWrite* const before = writes_ > 0 ? &write_[writes_ - 1] : nullptr;
    if (before != nullptr && before->store == &table.behind() && before->offset + before->bytes.size() == offset) {
        before->bytes = {before->bytes.data(), before->bytes.size() + bytes.size()};
    } else {
        write_[writes_++] = {&table.behind(), offset, bytes, 0};
    }
    last.write = static_cast<std::uint32_t>(writes_ - 1);
}

/// Marks the block claimed last, which cannot be decompressed, as lost. Reads of it fail, and its segment can be freed.
void CompressedPool::Spiller::give_up_damaged() FAULTLINE_SIGNAL_SAFE {
    const ClaimedBlock lost = claimed_[--claims_];
    finish_claim(lost, [&](BlockWord word) { return word.in(lost.slot) ? word.damaged() : word.released(); });
    CompressedCounters::add(pool_.counters_.damaged);
    pool_.notify_not_busy();
}

/// Clears the busy mark of a claimed block. If the block's word no longer names the entry, kills the entry. Returns
/// true in that case.
template <typename Edge>
bool CompressedPool::Spiller::finish_claim(const ClaimedBlock& claimed, Edge edge) FAULTLINE_SIGNAL_SAFE {
    const BlockWord before = claimed.table->change(claimed.block, edge);
    const bool moved = before.in(claimed.slot) && !edge(before).in(claimed.slot);
    if (moved) pool_.release_entry(*claimed.table, before);
    pool_.tables_.stop_using(claimed.store);
    return moved;
}

void CompressedPool::Spiller::wait_for_entry(PoolSlot slot) FAULTLINE_SIGNAL_SAFE {
    const Entry& entry = pool_.entry_at(slot);
    const BlockTable* const table = pool_.tables_.start_using(entry.store);
    if (table == nullptr) return;
    pool_.wait_while_busy(*table, entry.block);
    pool_.tables_.stop_using(entry.store);
}

/// Writes the claimed blocks. Returns 0 or the first error. Blocks that were not written stay in the pool.
int CompressedPool::Spiller::write_claimed(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    if (claims_ == 0) return 0;
    queue.write({write_, writes_});
    int first_error = 0;
    for (std::size_t i = 0; i < claims_; ++i) {
        const ClaimedBlock& claimed = claimed_[i];
        const int error = write_[claimed.write].error;
        if (first_error == 0) first_error = error;
        const bool moved = finish_claim(claimed, [&](BlockWord word) {
            return error == 0 && word.in(claimed.slot) ? word.spilled() : word.released();
        });
        if (moved) CompressedCounters::add(pool_.counters_.spills);
    }
    claims_ = writes_ = buffered_ = 0;
    pool_.notify_not_busy();
    return first_error;
}

}  // namespace faultline::store
