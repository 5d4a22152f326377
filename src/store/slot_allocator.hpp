// SlotAllocator: which slots of the swap files are free. Slots are allotted in the order in which pages leave memory,
// in runs, so that scattered pages are written with one write. It works in chunks of 2 MiB, each for pages of one size,
// and takes the next chunk in this order:
//
//   1 the emptiest chunk in use, if a lot of disk space is free in such chunks (`waste`)
//   2 a chunk that became empty, the last one first; then one whose blocks were given back; then one never used
//   3 the emptiest chunk in use
//
// It also chooses the free space that is given back to the file system. It makes no system call.
#pragma once

#include "core/signal_safe.hpp"
#include "store/slot_chunk.hpp"
#include "store/slot_table.hpp"
#include "sys/futex_lock.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace faultline::store {

/// Thread-safe. Signal-safe, except `add_shelf` and `freeze`. Callers outside a fault keep all signals blocked.
class SlotAllocator {
public:
    /// The largest pages have 2^9 slots.
    static constexpr unsigned kSizeClasses = 10;

    explicit SlotAllocator(SlotTable& table) noexcept : table_{table} {}
    SlotAllocator(const SlotAllocator&) = delete;
    SlotAllocator& operator=(const SlotAllocator&) = delete;

    /// Makes the slots of a shelf available. Control path. Throws std::bad_alloc.
    void add_shelf(std::uint32_t number);

    /// Allots a run of at most `pages` pages of 2^`size_class` slots, in consecutive slots. The words of their blocks
    /// become `open`. Returns the slots. Count 0: no page of this size is free.
    [[nodiscard]] SlotRun allot(unsigned size_class, std::uint32_t pages) FAULTLINE_SIGNAL_SAFE;

    /// Frees slots of one page, whose words are `unused`: all of them, or those of a block. The page is free when all
    /// of its slots are. In a frozen shelf it is only counted.
    void free(SlotRun slots) FAULTLINE_SIGNAL_SAFE;

    /// Returns the bytes of all slots that can be allotted, free or not. Control path.
    [[nodiscard]] std::uint64_t capacity_bytes() const noexcept;
    /// Returns true if no slot of the shelf is allotted, and no thread is freeing one.
    [[nodiscard]] bool is_unused(const SlotShelf& shelf) const noexcept;

    // ---- giving blocks back

    /// Free slots that have blocks, in bytes.
    [[nodiscard]] std::uint64_t waste_bytes() const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::uint64_t allotted_bytes() const FAULTLINE_SIGNAL_SAFE;

    /// Returns true if a chunk is empty, or if the waste exceeds 40 MiB and 5/8 of what is allotted.
    [[nodiscard]] bool worth_punching() const FAULTLINE_SIGNAL_SAFE;

    /// Returns true if the waste exceeds that bound, so that chunks in use are punched, too.
    [[nodiscard]] bool too_much_waste() const FAULTLINE_SIGNAL_SAFE;

    /// Slots of one shelf that a thread gives back.
    struct Piece {
        SlotRun slots;  // of whole chunks; count 0: nothing
        [[nodiscard]] explicit operator bool() const noexcept { return slots.count > 0; }
    };
    /// Takes a run of adjacent empty chunks, at most 64 MiB. If no chunk is empty and `also_partial` is set, takes one
    /// partial chunk with much waste instead. No slot of the piece is allotted until `end_punching`.
    [[nodiscard]] Piece begin_punching(bool also_partial) FAULTLINE_SIGNAL_SAFE;
    /// Returns the first run of slots of the piece from `from` on that can be punched. Count 0: no more.
    [[nodiscard]] SlotRun next_to_punch(const Piece& piece, SlotNumber from) FAULTLINE_SIGNAL_SAFE;
    /// Notes that the blocks of a run were given back.
    void punched(SlotRun run) FAULTLINE_SIGNAL_SAFE;
    void end_punching(const Piece& piece) FAULTLINE_SIGNAL_SAFE;

    // ---- fork

    /// Returns the first run of slots from `from` on, in the chunk of `from`, that no page has had. Count 0: none.
    /// Control path, while nothing else uses the slots.
    [[nodiscard]] SlotRun next_never_used(SlotNumber from) const noexcept;

    /// Allots no more slots of the shelves so far. Those with allotted slots become frozen. Returns the others, which
    /// can be added again for another file. `next`: an empty list with room for the shelves to be added. Control path,
    /// while nothing else uses the slots.
    [[nodiscard]] std::vector<std::uint32_t> freeze(std::vector<std::uint32_t> next) noexcept;

    // ---- invariants

    /// Returns what is wrong with the bits, the lists and the sums. Empty: nothing. Control path, while nothing else
    /// uses the slots.
    [[nodiscard]] std::vector<std::string> problems() const;

private:
    class Audit;  // of slot_allocator_audit.cpp

    using ChunkNumber = std::uint32_t;  // shelf << 11 | chunk in it; 0: none
    static constexpr unsigned kChunkShift = 9;
    static constexpr unsigned kShelfShift = SlotShelf::kShift - kChunkShift;
    static_assert(1U << kChunkShift == SlotChunk::kSlots);
    static constexpr std::uint32_t kBuckets = 8;  // partial chunks, by how full they are
    static constexpr std::uint32_t kPerBucket = SlotChunk::kSlots / kBuckets;
    static constexpr std::uint32_t kMostPunched = 32;  // chunks at once

    struct List {
        ChunkNumber first = 0;
        ChunkNumber last = 0;
    };

    [[nodiscard]] SlotChunk& chunk_at(ChunkNumber number) const FAULTLINE_SIGNAL_SAFE {
        return table_.shelf(number >> kShelfShift)->chunks[number & ((1U << kShelfShift) - 1)];
    }
    [[nodiscard]] static ChunkNumber chunk_of(SlotNumber slot) noexcept { return slot >> kChunkShift; }
    [[nodiscard]] static SlotNumber first_slot_of(ChunkNumber number) noexcept { return number << kChunkShift; }

    // Call with the lock held.
    [[nodiscard]] SlotRun allot_in_open(unsigned size_class, std::uint32_t pages);
    [[nodiscard]] bool open_next(unsigned size_class);
    [[nodiscard]] ChunkNumber next_chunk(unsigned size_class);
    [[nodiscard]] ChunkNumber emptiest_partial(unsigned size_class);
    [[nodiscard]] ChunkNumber most_wasteful();
    void close_wasteful();
    [[nodiscard]] ChunkNumber take_fresh();
    void list(ChunkNumber number);
    void unlist(ChunkNumber number);
    void push(List& list, ChunkNumber number);
    void remove(List& list, ChunkNumber number);
    [[nodiscard]] List& list_of(const SlotChunk& chunk);
    template <typename Change>
    void change(SlotChunk& chunk, Change apply);
    [[nodiscard]] std::uint64_t reuse_bound() const FAULTLINE_SIGNAL_SAFE;

    SlotTable& table_;
    std::atomic<std::uint64_t> allotted_{0};  // slots; changed under the lock, read without
    std::atomic<std::uint64_t> waste_{0};     // slots
    std::atomic<std::uint32_t> empty_chunks_{0};

    mutable sys::FutexLock lock_;  // guards the members below, and the chunks
    struct Open {
        ChunkNumber chunk = 0;
        std::uint32_t from = 0;  // no slot before is allotted from this chunk until it is opened again
    };
    std::array<Open, kSizeClasses> open_;
    std::array<std::array<List, kBuckets>, kSizeClasses> partial_;
    List empty_;
    List clean_;                          // fresh chunks that were used before
    std::vector<std::uint32_t> shelves_;  // that slots are allotted from, in the order of their use
    std::size_t fresh_shelf_ = 0;         // index in shelves_: all chunks before, and fresh_chunk_ of it, were used
    std::uint32_t fresh_chunk_ = 0;
};

}  // namespace faultline::store
