// CompressedPool: compressed blocks in memory, within one limit. It spills the oldest segment first: it writes the
// entries that are in use to their slots in the swap files and drops the others. While a quarter of its memory is dead
// entries, it moves entries out of sparse segments into the open segment instead: the memory does more elsewhere.
//
// A block is a page, or 16 KiB of a larger page; its first slot's word names its entry. SegmentPool decides which
// memory an entry uses. This class connects the two: entries that name their slot, and spilling.
//
// The order of steps, which keeps bytes from being lost or torn:
//
// clang-format off
//   insert   fill the entry, then name it in the slot's word
//   fetch    pin the segment, load the word again, check and decompress, unpin
//   release  clear the word, then kill the entry that it named
//   move     own the segment; copy the entry to another one; then name that one, unless the word has changed
//   spill    own the segment; mark the word spilling; decompress; write to the file; then change the word to `file`
//            and kill the entry. A slot that was released meanwhile is freed by the thread that spills it.
//   copy     fill the entry, then change the word from `file` to `both`
//   drop     of a copy: change the word back to `file`, then kill the entry. No write.
// clang-format on
//
// A copy goes when its page comes back: the page has a frame then, and the file has its bytes.
//
// A segment is reused when all its entries are dead and it has no readers. No thread waits for a spill.
#pragma once

#include "core/record_memory.hpp"
#include "core/signal_safe.hpp"
#include "store/backing_store.hpp"
#include "store/block_codec.hpp"
#include "store/compressed_stats.hpp"
#include "store/segment_pool.hpp"
#include "store/slot_word.hpp"
#include "store/slots.hpp"
#include "store/write_queue.hpp"
#include "sys/buffer_set.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::store {

/// Signal-safe, except the constructor. Callers outside a fault keep all signals
/// blocked. Memory that does not count towards the limit: 64 KiB while entries are moved; for compressors 32 KiB for
/// each thread that writes at the same time, at most 1 MiB; for spilling 320 KiB for each thread that spills at the
/// same time, at most 1.3 MiB; and less than 100 bytes for each 64 KiB that were ever used.
class CompressedPool {
public:
    /// Reserves addresses for `capacity` bytes; uses at most `limit` of them. `slots` must outlive the pool. `records`:
    /// counts the buffers, see sys::BufferSet. Throws std::system_error.
    CompressedPool(Slots& slots, std::size_t capacity, std::size_t limit, core::RecordMemory* records = nullptr);
    CompressedPool(const CompressedPool&) = delete;
    CompressedPool& operator=(const CompressedPool&) = delete;

    /// Sets the limit in bytes, rounded down to segments of 64 KiB and to the capacity. 0 keeps nothing in memory. If
    /// more than the limit is used, do_upkeep has work.
    void set_limit(std::size_t bytes) FAULTLINE_SIGNAL_SAFE { segments_.set_limit(bytes); }
    [[nodiscard]] std::size_t limit() const noexcept { return segments_.limit(); }
    /// Returns the most bytes that `set_limit` can set.
    [[nodiscard]] std::size_t capacity() const noexcept { return segments_.capacity(); }

    [[nodiscard]] CompressedStats stats() const noexcept;
    [[nodiscard]] CompressedShare share() const FAULTLINE_SIGNAL_SAFE;

    /// Returns the memory of all segments, for tests.
    [[nodiscard]] std::span<std::byte> memory() const noexcept { return segments_.memory(); }

    // ---- Spilling

    /// Returns true if less is free than the lower watermark: 1/16 of the limit, if that is at least one segment; or if
    /// 5/16 of the memory are dead entries.
    [[nodiscard]] bool needs_upkeep() const FAULTLINE_SIGNAL_SAFE { return free_is_below(16) || is_sparse(kMoveFrom); }

    /// Moves entries together while a quarter of the memory is dead entries, and spills the oldest segments until the
    /// upper watermark (1/8 of the limit) is free, or as far as possible. Returns 0 or the error of a write; blocks
    /// that could not be written stay in memory. Called by the pager's own threads.
    int do_upkeep(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Spills everything. Returns 0 or the error of a write. EIO also means that memory was overwritten, so that not
    /// all entries can be found. No thread inserts or releases a block meanwhile.
    [[nodiscard]] int spill_all(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    // ---- Blocks

    [[nodiscard]] bool enabled() const FAULTLINE_SIGNAL_SAFE { return segments_.limit() > 0; }
    [[nodiscard]] CompressorPool& compressors() noexcept { return compressors_; }
    [[nodiscard]] CompressedCounters& counters() noexcept { return counters_; }

    /// Stores `block`, compressed, for the slots from `slot` on, whose word is `open`; may spill to make room. Returns
    /// false if there is no room; then nothing has changed.
    [[nodiscard]] bool insert(SlotNumber slot, std::span<const std::byte> block,
                              std::span<const std::byte> compressed) FAULTLINE_SIGNAL_SAFE;
    /// The same for a block that the file has, too: the entry is a copy. Does nothing if the word is not `file`, or if
    /// `block` does not have the checksum of the bytes in the file.
    void insert_copy(SlotNumber slot, std::span<const std::byte> block,
                     std::span<const std::byte> compressed) FAULTLINE_SIGNAL_SAFE;

    enum class Fetched : std::uint8_t { done, changed, damaged };
    /// Decompresses the block of `slot`, which the caller uses, if its entry is still where `seen` says. Drops a copy
    /// that it has decompressed, and one that is damaged: then it returns `changed`.
    [[nodiscard]] Fetched fetch(SlotNumber slot, SlotWord seen, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE;
    /// Compares bytes of `slot` that were read from the file with the checksum in the copy's entry.
    [[nodiscard]] Fetched check(SlotNumber slot, SlotWord seen, std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE;

    /// Frees a block of `units` slots that no location names any more.
    void release(SlotNumber slot, std::uint32_t units) FAULTLINE_SIGNAL_SAFE;

private:
    /// The header of an entry. The compressed bytes of the block follow it.
    struct Entry {
        std::uint64_t checksum;  // of the block
        SlotNumber slot;
        std::uint16_t bytes;
        std::uint16_t units;  // of the block: 1, 2 or 4
    };
    static_assert(most_compressed(kLargestBlockBytes) <= UINT16_MAX);
    struct Spilled {
        bool freed = false;  // a segment was freed
        int error = 0;
    };
    class Spiller;

    [[nodiscard]] const Entry& entry_at(EntryAddress at) const noexcept;
    [[nodiscard]] std::span<const std::byte> bytes_of(const Entry& entry) const noexcept;
    /// Returns false if memory was overwritten. Then the length is wrong, and the next entry cannot be found.
    [[nodiscard]] static bool is_sound(const Entry& entry) noexcept {
        return entry.bytes <= most_compressed(kLargestBlockBytes) && std::has_single_bit(entry.units) &&
               entry.units <= kLargestBlockBytes / core::kUnitBytes;
    }
    [[nodiscard]] bool decode(const Entry& entry, std::span<std::byte> into) const FAULTLINE_SIGNAL_SAFE;
    void write_entry(const SegmentPool::Room& room, SlotNumber slot, std::span<const std::byte> block,
                     std::span<const std::byte> compressed) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Fetched fetch_pinned(SlotNumber slot, SlotWord seen, std::span<std::byte> into,
                                       std::uint64_t& checksum) FAULTLINE_SIGNAL_SAFE;
    /// Changes the word from `both` to `file`, if it is still `seen`, and kills the entry, which has this checksum.
    /// Returns true if it did. The caller does not pin the segment: the last entry of a segment waits for its readers.
    bool drop_copy(SlotNumber slot, SlotWord seen, std::uint64_t checksum) FAULTLINE_SIGNAL_SAFE;
    void kill_entry(EntryAddress at) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] SegmentPool::Room make_room(std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool free_is_below(std::size_t fraction) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool is_sparse(std::size_t sixteenths) const FAULTLINE_SIGNAL_SAFE;

    // Defined in compressed_spill.cpp.
    Spilled free_segment(unsigned spiller, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    bool empty_sparse_segment() FAULTLINE_SIGNAL_SAFE;
    template <typename Visit>
    void for_each_entry(const Segment& segment, Visit visit) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool move_entry(EntryAddress at) FAULTLINE_SIGNAL_SAFE;
    Spilled spill_oldest(unsigned spiller, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Spiller& new_spiller(unsigned index) noexcept;

    // Live entries are moved together from so many sixteenths of dead memory on, until so many are left.
    static constexpr std::size_t kMoveFrom = 5;
    static constexpr std::size_t kMoveUntil = 4;

    /// Returns how many of `bytes` are live if so many sixteenths of them are dead.
    static constexpr std::size_t live_bytes(std::size_t dead_sixteenths, std::size_t bytes) noexcept {
        return bytes / 16 * (16 - dead_sixteenths);
    }

    static constexpr unsigned kSpillers = 4;

    Slots& slots_;
    SegmentPool segments_;
    CompressorPool compressors_;
    CompressedCounters counters_;

    sys::BufferSet spillers_;
};

}  // namespace faultline::store
