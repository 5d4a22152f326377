// CompressedPool: the compressed blocks in memory of all compressed stores of one pager, within one limit. The oldest
// segment is the next to be spilled: what is still current in it is written to the stores behind, the rest is dropped.
// As long as a good part of all memory is dead entries, sparse segments are emptied into the open one instead.
//
// What a block's bytes are, and when they change, is the stores' business (CompressedStore); which memory they are in,
// SegmentPool's. This brings both together: entries that know their block, and spilling.
//
// The order of things that keeps bytes from being lost, old or torn:
//
// clang-format off
//   write   fill the entry, then name it in the block's word, then kill the entry named before
//   read    pin the segment, look at the word again, check and decompress, unpin
//   move    own the segment; fill another entry with the same; then name it, unless the word has changed
//   spill   own the segment; mark the word busy; decompress; write behind; then, if the word still names the entry, it
//           says `behind` instead, and the entry is dead
// clang-format on
//
// A segment is used again when all its entries are dead and its readers have gone.
// A spill that holds busy marks waits for its own I/O only, so whoever waits for one of its marks waits for that.
#pragma once

#include "core/signal_safe.hpp"
#include "store/block_codec.hpp"
#include "store/block_table.hpp"
#include "store/block_word.hpp"
#include "store/compressed_stats.hpp"
#include "store/segment_pool.hpp"
#include "store/write_queue.hpp"
#include "sys/event.hpp"
#include "sys/lazy_array.hpp"
#include "sys/mapping.hpp"
#include "sys/slot_pool.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

namespace faultline::store {

/// Signal-safe, except construction and what says "control path"; callers that are not in a fault keep signals blocked.
/// Besides what counts towards the limit it takes 64 KiB while entries are moved, and memory for compressors (32 KiB
/// for each thread that writes at the same time, at most 1 MiB), for spilling (320 KiB for each thread that spills at
/// the same time, at most 1.3 MiB), and less than 100 bytes for each 64 KiB that were ever used.
class CompressedPool {
public:
    static constexpr std::uint32_t kMostStores = std::uint32_t{1} << 20;

    /// Reserves addresses for `capacity` bytes, of which at most `limit` are used. Throws std::system_error.
    CompressedPool(std::size_t capacity, std::size_t limit);
    CompressedPool(const CompressedPool&) = delete;
    CompressedPool& operator=(const CompressedPool&) = delete;

    /// In bytes, rounded down to segments of 64 KiB and to the capacity. 0: nothing is kept in memory. When it is below
    /// what is used, spill_some has work.
    void set_limit(std::size_t bytes) noexcept;
    [[nodiscard]] std::size_t limit() const noexcept { return segments_.limit(); }

    [[nodiscard]] CompressedStats stats() const noexcept;

    /// Of all segments, for looking at.
    [[nodiscard]] std::span<std::byte> memory() const noexcept { return segments_.memory(); }

    // ---- Spilling

    /// Whether less is free than the lower watermark (1/16 of the limit, if that is a segment at all).
    [[nodiscard]] bool wants_spill() const FAULTLINE_SIGNAL_SAFE { return free_is_below(16); }

    /// Spills the oldest segments until the upper watermark (1/8 of the limit) is free, or as far as possible. Returns
    /// 0 or the error of a store behind: then what could not be written stays where it is. For the pager's own threads.
    int spill_some(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Spills everything. Returns 0 or an error, as above; EIO too when memory was overwritten, so that not all of it
    /// can be found. Nobody writes meanwhile, and no store goes.
    [[nodiscard]] int spill_all(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    // ---- For the stores

    /// Of a store, control path. The table's blocks can be spilled from here on. Throws std::system_error (ENOMEM).
    [[nodiscard]] std::uint32_t enter(BlockTable& table);
    /// No block of the table is spilled any more; those in the pool are forgotten. Control path.
    void leave(std::uint32_t id) noexcept;
    /// For BlockTable: differs each time.
    [[nodiscard]] std::uint64_t next_table_number() noexcept { return next_table_number_.fetch_add(1) + 1; }

    [[nodiscard]] bool enabled() const FAULTLINE_SIGNAL_SAFE { return segments_.limit() > 0; }
    [[nodiscard]] CompressorPool& compressors() noexcept { return compressors_; }
    [[nodiscard]] CompressedCounters& counters() noexcept { return counters_; }

    /// Keeps the block's new version, compressed, and forgets the one before; may spill for it. False: there is no
    /// room, and nothing changed.
    [[nodiscard]] bool keep(std::uint32_t id, std::uint64_t block,
                            std::span<const std::byte> compressed) FAULTLINE_SIGNAL_SAFE;

    enum class Fetched : std::uint8_t { done, changed, damaged };
    /// Decompresses the block if its word still is `seen`, which says that it is in the pool.
    [[nodiscard]] Fetched fetch(const BlockTable& table, std::uint64_t block, BlockWord seen,
                                std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE;

    /// `before` was the block's word until now: if it was in the pool, it is not any more.
    void left(const BlockTable& table, BlockWord before) FAULTLINE_SIGNAL_SAFE {
        if (before.is(BlockPlace::pool)) kill_entry(before.slot(), table.block_bytes());
    }

    /// Sleeps until nobody writes the block to the store behind.
    void wait_while_busy(const BlockTable& table, std::uint64_t block) FAULTLINE_SIGNAL_SAFE {
        not_busy_.wait_until([&] { return !table.load(block).busy(); });
    }
    /// After busy marks were taken away.
    void not_busy_any_more() FAULTLINE_SIGNAL_SAFE { not_busy_.notify(); }

private:
    /// In front of a block's compressed bytes.
    struct Entry {
        std::uint64_t checksum;  // of the compressed bytes
        std::uint64_t block;
        std::uint32_t store;
        std::uint32_t bytes;
    };
    struct Member {
        std::atomic<BlockTable*> table;
        std::atomic<std::uint32_t> users;  // spilling blocks of the table
    };
    struct Spilled {
        bool freed = false;  // a segment
        int error = 0;
    };
    struct SpillSpace;
    enum class Claim : std::uint8_t { taken, dead, busy };

    [[nodiscard]] const Entry& entry_at(PoolSlot slot) const noexcept;
    [[nodiscard]] std::span<const std::byte> bytes_of(const Entry& entry) const noexcept;
    /// Not if memory was overwritten: then neither its length can be believed, nor where the next entry is.
    [[nodiscard]] static bool is_sound(const Entry& entry) noexcept {
        return entry.bytes <= most_compressed(kLargestBlockBytes);
    }
    [[nodiscard]] bool decode(const Entry& entry, std::uint64_t seed,
                              std::span<std::byte> into) const FAULTLINE_SIGNAL_SAFE;
    void kill_entry(PoolSlot slot, std::size_t block_bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] SegmentPool::Room make_room(std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool free_is_below(std::size_t fraction) const FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] BlockTable* start_using(std::uint32_t id) FAULTLINE_SIGNAL_SAFE;
    void stop_using(std::uint32_t id) FAULTLINE_SIGNAL_SAFE;

    // compressed_spill.cpp
    struct SpillClaim {
        const BlockTable* table;
        std::uint64_t block;
        PoolSlot slot;
        std::uint32_t store;
        std::uint32_t write;  // the number of the one it is part of
    };
    Spilled free_segment(unsigned space, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    bool empty_sparse_segment() FAULTLINE_SIGNAL_SAFE;
    template <typename Visit>
    void for_each_entry(const Segment& segment, Visit visit) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool move_entry(PoolSlot slot) FAULTLINE_SIGNAL_SAFE;
    Spilled spill_oldest(unsigned space, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    int spill_segment(const Segment& segment, SpillSpace& space, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    void list_entries(const Segment& segment, SpillSpace& space) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Claim claim(SpillSpace& space, PoolSlot slot) FAULTLINE_SIGNAL_SAFE;
    static void add_write(SpillSpace& space, std::span<const std::byte> bytes,
                          std::uint32_t generation) FAULTLINE_SIGNAL_SAFE;
    void give_up_damaged(SpillSpace& space) FAULTLINE_SIGNAL_SAFE;
    template <typename Edge>
    bool settle(const SpillClaim& claimed, Edge edge) FAULTLINE_SIGNAL_SAFE;
    void wait_for_entry(PoolSlot slot) FAULTLINE_SIGNAL_SAFE;
    int write_claimed(SpillSpace& space, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] SpillSpace& spill_space(unsigned index) const noexcept;

    static constexpr unsigned kSpillSpaces = 4;

    SegmentPool segments_;
    CompressorPool compressors_;
    CompressedCounters counters_;
    sys::Event not_busy_;

    sys::LazyArray<Member> members_{kMostStores, "compressed stores"};
    std::mutex mutex_;  // guards the ids; control path
    std::vector<std::uint32_t> free_ids_;
    std::uint32_t next_id_ = 1;
    std::atomic<std::uint64_t> next_table_number_{0};

    sys::Mapping spill_memory_;
    sys::SlotPool spill_slots_{kSpillSpaces};
};

}  // namespace faultline::store
