// The part of CompressedPool that frees segments: moving live entries together, and spilling them to the swap files.

#include "store/compressed_pool.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

namespace faultline::store {
namespace {

constexpr std::size_t kSpillBufferBytes = std::size_t{256} << 10;
constexpr std::size_t kMostClaimed = kSpillBufferBytes / core::kUnitBytes;

}  // namespace

/// Spills one segment at a time. Holds the working memory of a spilling thread, whose stack may be too small for it.
class CompressedPool::Spiller {
public:
    Spiller(CompressedPool& pool, std::span<std::byte> buffer) noexcept : pool_{pool}, buffer_{buffer} {}

    /// Spills the live entries of a taken segment. Returns 0 or the first error; then only a part was spilled.
    int spill(const Segment& segment, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

private:
    struct Item {
        SlotNumber slot;
        std::uint32_t offset;  // in the segment
        friend bool operator<(const Item& left, const Item& right) noexcept { return left.slot < right.slot; }
    };
    struct ClaimedBlock {
        SlotNumber slot;
        std::uint32_t units;
        EntryAddress at;
        std::uint64_t checksum;
        std::uint32_t write;  // number of the write that includes the block
    };
    static constexpr std::size_t kMostItems = SegmentPool::kSegmentBytes / (sizeof(Entry) + SlotWord::kEntryAlignment);

    void list_entries(const Segment& segment) FAULTLINE_SIGNAL_SAFE;
    void claim(EntryAddress at) FAULTLINE_SIGNAL_SAFE;
    void add_write(std::span<std::byte> bytes) FAULTLINE_SIGNAL_SAFE;
    void give_up_damaged() FAULTLINE_SIGNAL_SAFE;
    int write_claimed(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    template <typename Edge>
    [[nodiscard]] bool end_claim(const ClaimedBlock& claimed, Edge edge) FAULTLINE_SIGNAL_SAFE;

    CompressedPool& pool_;
    std::span<std::byte> buffer_;
    std::size_t buffered_ = 0;  // in bytes
    std::size_t items_ = 0;
    std::size_t claims_ = 0;
    std::size_t writes_ = 0;
    Item item_[kMostItems];
    ClaimedBlock claimed_[kMostClaimed];
    iovec part_[kMostClaimed];
    FileWrite write_[kMostClaimed];
};

CompressedPool::CompressedPool(Slots& slots, std::size_t capacity, std::size_t limit, core::RecordMemory* records)
    : slots_{slots},
      segments_{capacity, limit},
      compressors_{capacity > 0 ? records : nullptr},  // without a capacity no buffer is ever touched
      spillers_{{kSpillers, kSpillBufferBytes + sizeof(Spiller)},
                "spilling compressed pages",
                capacity > 0 ? records : nullptr} {}

/// Makes a spiller of buffer `index`: the bytes of blocks, then the spiller itself.
CompressedPool::Spiller& CompressedPool::new_spiller(unsigned index) noexcept {
    const std::span<std::byte> memory = spillers_.bytes_of(index);
    return *new (memory.data() + kSpillBufferBytes) Spiller{*this, memory.first(kSpillBufferBytes)};
}

int CompressedPool::do_upkeep(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    while (is_sparse(kMoveUntil) && empty_sparse_segment()) {
    }
    if (!free_is_below(8)) return 0;
    const unsigned spiller = spillers_.take();
    Spilled last{true, 0};
    while (last.freed && free_is_below(8)) last = free_segment(spiller, queue);
    spillers_.give_back(spiller);
    return last.error;
}

int CompressedPool::spill_all(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    const unsigned spiller = spillers_.take();
    Spilled last{true, 0};
    while (last.freed && segments_.used() > 0) last = spill_oldest(spiller, queue);
    spillers_.give_back(spiller);
    return last.error == 0 && segments_.used() > 0 ? EIO : last.error;
}

CompressedPool::Spilled CompressedPool::free_segment(unsigned spiller, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    if (is_sparse(kMoveUntil) && empty_sparse_segment()) return {true, 0};
    return spill_oldest(spiller, queue);
}

/// Calls `visit(address, entry)` for each entry of a taken segment until it returns false.
template <typename Visit>
void CompressedPool::for_each_entry(const Segment& segment, Visit visit) const FAULTLINE_SIGNAL_SAFE {
    for (std::uint32_t offset = 0; offset < segment.used_bytes;) {
        const EntryAddress at{segment.index, offset};
        const Entry& entry = entry_at(at);
        if (!is_sound(entry) || !visit(at, entry)) return;
        offset += SegmentPool::rounded(sizeof(Entry) + entry.bytes);
    }
}

// ---- Moving

bool CompressedPool::empty_sparse_segment() FAULTLINE_SIGNAL_SAFE {
    Segment* const segment = segments_.take_sparse(live_bytes(kMoveUntil, SegmentPool::kSegmentBytes));
    if (segment == nullptr) return false;
    for_each_entry(*segment, [&](EntryAddress at, const Entry&) { return move_entry(at); });
    return segments_.give_back(*segment);
}

/// Moves an entry to the open segment if it is live. Returns false if there is no room.
bool CompressedPool::move_entry(EntryAddress at) FAULTLINE_SIGNAL_SAFE {
    const Entry& entry = entry_at(at);
    const std::size_t bytes = sizeof(Entry) + entry.bytes;
    SlotTable& table = slots_.table();
    if (!table.has(entry.slot)) return true;
    SlotWord seen = table.load(entry.slot);
    if (!seen.in(at)) return true;
    const SegmentPool::Room room = segments_.reserve(bytes, SegmentPool::Purpose::moving);
    if (!room) return false;
    std::memcpy(room.bytes(), &entry, bytes);
    while (seen.in(at) && !table.try_change(entry.slot, seen, seen.moved_to(room.entry()))) {
    }
    segments_.kill(seen.in(at) ? at : room.entry(), bytes);
    return true;
}

// ---- Spilling

CompressedPool::Spilled CompressedPool::spill_oldest(unsigned spiller, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    Segment* const segment = segments_.take_oldest();
    if (segment == nullptr) return {};
    const int error = new_spiller(spiller).spill(*segment, queue);
    return {segments_.give_back(*segment), error};
}

int CompressedPool::Spiller::spill(const Segment& segment, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    list_entries(segment);
    int error = 0;
    for (std::size_t i = 0; i < items_ && error == 0; ++i) {
        claim({segment.index, item_[i].offset});
        const bool full = claims_ == kMostClaimed || buffer_.size() - buffered_ < kLargestBlockBytes;
        if (full) error = write_claimed(queue);
    }
    const int last_error = write_claimed(queue);
    return error != 0 ? error : last_error;
}

/// Lists the entries sorted by slot, so that adjacent blocks go into one write.
void CompressedPool::Spiller::list_entries(const Segment& segment) FAULTLINE_SIGNAL_SAFE {
    items_ = 0;
    pool_.for_each_entry(segment, [&](EntryAddress at, const Entry& entry) {
        item_[items_++] = {entry.slot, at.offset};
        return items_ < kMostItems;
    });
    std::sort(item_, item_ + items_);
}

/// Marks the slot of a live entry as spilling and decompresses the entry into the buffer, after the blocks claimed
/// before; drops a copy at once. An entry that its slot's word does not name is dead.
void CompressedPool::Spiller::claim(EntryAddress at) FAULTLINE_SIGNAL_SAFE {
    const Entry& entry = pool_.entry_at(at);
    SlotTable& table = pool_.slots_.table();
    if (!table.has(entry.slot)) return;
    SlotWord seen = table.load(entry.slot);
    do {
        if (!seen.in(at)) return;
        if (seen.is(SlotPlace::both)) {
            if (pool_.drop_copy(entry.slot, seen, entry.checksum)) CompressedCounters::add(pool_.counters_.spills);
            return;  // else it was released or dropped by another thread
        }
    } while (!table.try_change(entry.slot, seen, seen.claimed_for_spill()));
    claimed_[claims_++] = {entry.slot, entry.units, at, entry.checksum, 0};
    const std::span<std::byte> bytes = buffer_.subspan(buffered_, std::size_t{entry.units} << core::kUnitShift);
    if (pool_.decode(entry, bytes)) {
        add_write(bytes);
    } else {
        give_up_damaged();
    }
}

/// Adds the block claimed last to the write before it if it is adjacent, else to a new write.
void CompressedPool::Spiller::add_write(std::span<std::byte> bytes) FAULTLINE_SIGNAL_SAFE {
    ClaimedBlock& last = claimed_[claims_ - 1];
    const SlotTable& table = pool_.slots_.table();
    buffered_ += bytes.size();
    const SlotDevice* const device = &table.device_of(last.slot);
    const std::uint64_t offset = table.file_offset_of(last.slot);
    if (writes_ > 0 && write_[writes_ - 1].device == device &&
        write_[writes_ - 1].offset + part_[writes_ - 1].iov_len == offset) {
        part_[writes_ - 1].iov_len += bytes.size();
    } else {
        part_[writes_] = {bytes.data(), bytes.size()};
        write_[writes_] = {device, offset, {&part_[writes_], 1}, 0};
        ++writes_;
    }
    last.write = static_cast<std::uint32_t>(writes_ - 1);
}

/// Marks the block claimed last, which cannot be decompressed, as lost. Reads of it fail, and its segment can be freed.
void CompressedPool::Spiller::give_up_damaged() FAULTLINE_SIGNAL_SAFE {
    static_cast<void>(end_claim(claimed_[--claims_], [](SlotWord word) { return word.damaged(); }));
    CompressedCounters::add(pool_.counters_.damaged);
}

/// Replaces the word of a claimed block by `edge(word)`, and kills the entry unless the word still names it. Frees the
/// slots if the block was released meanwhile. Returns true if the bytes are in the file now.
template <typename Edge>
bool CompressedPool::Spiller::end_claim(const ClaimedBlock& claimed, Edge edge) FAULTLINE_SIGNAL_SAFE {
    const auto next = [&](SlotWord word) { return word.is(SlotPlace::dropped) ? SlotWord{} : edge(word); };
    const SlotWord before = pool_.slots_.table().change(claimed.slot, next);
    const SlotWord after = next(before);
    if (!after.has_entry()) pool_.kill_entry(claimed.at);
    if (before.is(SlotPlace::dropped)) pool_.slots_.allocator().free({claimed.slot, claimed.units});
    return after.is(SlotPlace::file);
}

/// Writes the claimed blocks. Returns 0 or the first error. Blocks that were not written stay in the pool.
int CompressedPool::Spiller::write_claimed(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    pool_.slots_.write({write_, writes_}, queue);
    int error = 0;
    for (std::size_t i = 0; i < claims_; ++i) {
        const ClaimedBlock& claimed = claimed_[i];
        const int write_error = write_[claimed.write].error;
        if (write_error != 0 && error == 0) error = write_error;
        const bool spilled = end_claim(claimed, [&](SlotWord word) {
            return write_error == 0 ? word.spilled(claimed.checksum) : word.spill_failed();
        });
        if (spilled) CompressedCounters::add(pool_.counters_.spills);
    }
    buffered_ = claims_ = writes_ = 0;
    return error;
}

}  // namespace faultline::store
