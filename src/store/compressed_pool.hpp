// CompressedPool: the compressed blocks in memory of all compressed stores of one pager, within one limit. It spills
// the oldest segment first: it writes the current entries to the stores behind and drops the others. While a large part
// of all memory is dead entries, it moves entries out of sparse segments into the open segment instead.
//
// CompressedStore decides what the bytes of a block are and when they change. SegmentPool decides which memory they
// use. This class connects the two: entries that name their block, and spilling.
//
// The order of steps, which keeps bytes from being lost, stale or torn:
//
// clang-format off
//   write   fill the entry, then name it in the block's word, then kill the entry named before
//   read    pin the segment, load the word again, check and decompress, unpin
//   move    own the segment; copy the entry to another one; then name that one, unless the word has changed
//   spill   own the segment; mark the word busy; decompress; write behind; then, if the word still names the entry,
//           change it to `behind` and kill the entry
// clang-format on
//
// A segment is reused when all its entries are dead and it has no readers. A spill that holds busy marks waits for its
// own I/O only. So a thread that waits for a busy mark waits for that I/O and nothing else.
#pragma once

#include "core/signal_safe.hpp"
#include "store/block_codec.hpp"
#include "store/block_table.hpp"
#include "store/block_word.hpp"
#include "store/compressed_stats.hpp"
#include "store/segment_pool.hpp"
#include "store/table_registry.hpp"
#include "store/write_queue.hpp"
#include "sys/event.hpp"
#include "sys/mapping.hpp"
#include "sys/slot_pool.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::store {

/// Signal-safe, except the constructor and calls marked "control path". Callers outside a fault keep all signals
/// blocked. Memory that does not count towards the limit: 64 KiB while entries are moved; for compressors 32 KiB for
/// each thread that writes at the same time, at most 1 MiB; for spilling 320 KiB for each thread that spills at the
/// same time, at most 1.3 MiB; and less than 100 bytes for each 64 KiB that were ever used.
class CompressedPool {
public:
    /// Reserves addresses for `capacity` bytes; uses at most `limit` of them. Throws std::system_error.
    CompressedPool(std::size_t capacity, std::size_t limit);
    CompressedPool(const CompressedPool&) = delete;
    CompressedPool& operator=(const CompressedPool&) = delete;

    /// Sets the limit in bytes, rounded down to segments of 64 KiB and to the capacity. 0 keeps nothing in memory. If
    /// more than the limit is used, spill_some has work.
    void set_limit(std::size_t bytes) noexcept;
    [[nodiscard]] std::size_t limit() const noexcept { return segments_.limit(); }

    [[nodiscard]] CompressedStats stats() const noexcept;

    /// Returns the memory of all segments, for tests.
    [[nodiscard]] std::span<std::byte> memory() const noexcept { return segments_.memory(); }

    // ---- Spilling

    /// Returns true if less is free than the lower watermark: 1/16 of the limit, if that is at least one segment.
    [[nodiscard]] bool wants_spill() const FAULTLINE_SIGNAL_SAFE { return free_is_below(16); }

    /// Spills the oldest segments until the upper watermark (1/8 of the limit) is free, or as far as possible. Returns
    /// 0 or the error of a store behind; blocks that could not be written stay in memory. Called by the pager's own
    /// threads.
    int spill_some(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Spills everything. Returns 0 or an error of a store behind. EIO also means that memory was overwritten, so that
    /// not all entries can be found. No thread writes meanwhile, and no store is destroyed.
    [[nodiscard]] int spill_all(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    // ---- For the stores

    /// Registers a store's table; from here on its blocks can be spilled. Control path. Throws std::system_error
    /// (ENOMEM).
    [[nodiscard]] std::uint32_t register_table(BlockTable& table) { return tables_.add(table); }
    /// Unregisters a table: waits until no thread spills its blocks, then drops its entries. Control path.
    void unregister_table(std::uint32_t id) noexcept;
    /// Returns the `number` of a new BlockTable: a new one each time.
    [[nodiscard]] std::uint64_t next_table_number() noexcept { return next_table_number_.fetch_add(1) + 1; }

    [[nodiscard]] bool enabled() const FAULTLINE_SIGNAL_SAFE { return segments_.limit() > 0; }
    [[nodiscard]] CompressorPool& compressors() noexcept { return compressors_; }
    [[nodiscard]] CompressedCounters& counters() noexcept { return counters_; }

    /// Stores the block's new version, compressed, and drops the old one; may spill to make room. Returns false if
    /// there is no room; then nothing has changed.
    [[nodiscard]] bool insert(std::uint32_t id, std::uint64_t block,
                              std::span<const std::byte> compressed) FAULTLINE_SIGNAL_SAFE;

    enum class Fetched : std::uint8_t { done, changed, damaged };
    /// Decompresses the block if its word is still `seen`, which says that the block is in the pool.
    [[nodiscard]] Fetched fetch(const BlockTable& table, std::uint64_t block, BlockWord seen,
                                std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE;

    /// Kills the entry of a block whose word was `before` until now, if that word named one.
    void release_entry(const BlockTable& table, BlockWord before) FAULTLINE_SIGNAL_SAFE {
        if (before.is(BlockPlace::pool)) kill_entry(before.slot(), table.block_bytes());
    }

    /// Blocks until no thread writes the block to the store behind.
    void wait_while_busy(const BlockTable& table, std::uint64_t block) FAULTLINE_SIGNAL_SAFE {
        not_busy_.wait_until([&] { return !table.load(block).busy(); });
    }
    /// Wakes wait_while_busy. Call after clearing busy marks.
    void notify_not_busy() FAULTLINE_SIGNAL_SAFE { not_busy_.notify(); }

private:
    /// Stands before the compressed bytes of a block.
    struct Entry {
        std::uint64_t checksum;  // of the compressed bytes
        std::uint64_t block;
        std::uint32_t store;
        std::uint32_t bytes;
    };
    struct Spilled {
        bool freed = false;  // a segment was freed
        int error = 0;
    };
    class Spiller;

    [[nodiscard]] const Entry& entry_at(PoolSlot slot) const noexcept;
    [[nodiscard]] std::span<const std::byte> bytes_of(const Entry& entry) const noexcept;
    /// Returns false if memory was overwritten. Then the length is wrong, and the next entry cannot be found.
    [[nodiscard]] static bool is_sound(const Entry& entry) noexcept {
        return entry.bytes <= most_compressed(kLargestBlockBytes);
    }
    [[nodiscard]] bool decode(const Entry& entry, std::uint64_t seed,
                              std::span<std::byte> into) const FAULTLINE_SIGNAL_SAFE;
    void kill_entry(PoolSlot slot, std::size_t block_bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] SegmentPool::Room make_room(std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool free_is_below(std::size_t fraction) const FAULTLINE_SIGNAL_SAFE;

    // Defined in compressed_spill.cpp.
    Spilled free_segment(unsigned spiller, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    bool empty_sparse_segment() FAULTLINE_SIGNAL_SAFE;
    template <typename Visit>
    void for_each_entry(const Segment& segment, Visit visit) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool move_entry(PoolSlot slot) FAULTLINE_SIGNAL_SAFE;
    Spilled spill_oldest(unsigned spiller, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Spiller& spiller_at(unsigned index) const noexcept;

    static constexpr unsigned kSpillers = 4;

    SegmentPool segments_;
    CompressorPool compressors_;
    CompressedCounters counters_;
    sys::Event not_busy_;

    TableRegistry tables_;
    std::atomic<std::uint64_t> next_table_number_{0};

    sys::Mapping spill_memory_;
    sys::SlotPool free_spillers_{kSpillers};
};

}  // namespace faultline::store
