// FreedBlocks: tracks which units (4 KiB) of one swap file are in use, and which were freed but still have their
// blocks. It chooses the large pieces that are punched, so that their blocks return to the file system. It blocks a
// write to a piece while that piece is being punched. It makes no call on the file: SwapFile passes in the function
// that punches.
#pragma once

#include "core/bit_words.hpp"
#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "sys/atomic_bits.hpp"
#include "sys/event.hpp"
#include "sys/lazy_array.hpp"

#include <array>
#include <atomic>
#include <cstdint>

namespace faultline::store {

// A unit is live from the write that needs it until it is freed. Only units that are not live are punched.
//
//   a write                                     a punch of a chunk (1 MiB)
//   1 live |= unit    (read-modify-write)       1 punches: even -> odd
//   2 punches odd? sleep until it has changed   2 reads live (read-modify-write), chooses units that are not live
//   3 writes                                    3 fallocate
//                                               4 punches: odd -> even, wakes the writes that sleep
//
// Both change the same word `live`, so one of them comes first. If the write comes first, the punch reads the unit as
// live and skips it. If the punch comes first, the write reads the punch's value or a later one, so it sees everything
// before it: `punches` is odd or has changed since. So step 3 of the write is after step 3 of the punch. If a write
// finds a unit live already, an earlier write made it live and waited for the punch of that time. Every later punch
// sees the unit live.
//
// The pager never has two writes of one unit in flight, and it owns the page when it frees a unit. It may free a unit
// while a write to it is in flight, and then frees it again when that write has ended. In between the unit may be
// punched during the write; its bytes are not read.

/// Offsets and sizes are in bytes of the file, multiples of 4 KiB. Any thread may call everything at any time, except
/// grow_to.
class FreedBlocks {
public:
    static constexpr unsigned kChunkShift = 20;
    static constexpr std::uint64_t kChunkBytes = std::uint64_t{1} << kChunkShift;
    /// The largest file of ext4. Blocks beyond it are not tracked.
    static constexpr std::uint64_t kLargestFile = std::uint64_t{16} << 40;
    /// The largest piece of one punch. It bounds the time that a write waits.
    static constexpr std::uint64_t kLargestPiece = std::uint64_t{64} << 20;

    /// Makes the file at least `bytes` long. One call at a time, and before any other call that names the new part.
    /// Throws std::system_error (ENOMEM).
    void grow_to(std::uint64_t bytes);

    /// Marks the range as in use. Call before each write to it. Blocks while the range is being punched, which takes at
    /// most as long as one call that punches. Signal-safe.
    void mark_in_use(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE;

    /// Marks the blocks of the range for punching. The caller does not read the range before it writes it again.
    /// Signal-safe.
    void free(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE;

    /// Stops tracking the range: the caller, which owns it, punches it itself. Signal-safe.
    void untrack(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE;

    /// Returns the bytes that were freed and not punched; inexact while other threads change them.
    [[nodiscard]] std::uint64_t freed_bytes() const FAULTLINE_SIGNAL_SAFE;

    /// Returns true if a chunk is due: none of it is in use, or mark_fullest_due chose it.
    [[nodiscard]] bool any_due() const FAULTLINE_SIGNAL_SAFE { return due_chunks_.load() > 0; }

    /// Makes chunks with freed units due, those with most first, until they hold `bytes`. Signal-safe.
    void mark_fullest_due(std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE;

    /// Calls `punch(offset, bytes)` for one due piece. A piece is a run of units that are not in use; it may span
    /// several adjacent due chunks. While at most `keep_bytes` are freed, chunks that are partly in use are skipped.
    /// Returns false if nothing is due.
    template <typename Punch>
    bool punch_one(std::uint64_t keep_bytes, Punch punch) FAULTLINE_SIGNAL_SAFE {
        const Piece piece = take_piece(keep_bytes);
        if (piece.units.empty()) return false;
        punch(piece.units.first << core::kUnitShift, piece.units.count << core::kUnitShift);
        end_punches(piece);
        return true;
    }

    /// Returns the first chunk in [chunk, end) that was ever written to, or `end`.
    [[nodiscard]] std::uint64_t next_written(std::uint64_t chunk, std::uint64_t end) const FAULTLINE_SIGNAL_SAFE {
        return written_.next_set(chunk, end);
    }

private:
    static constexpr std::size_t kUnitsOfChunk = kChunkBytes / core::kUnitBytes;
    static constexpr std::size_t kWords = kUnitsOfChunk / core::kBitsPerWord;
    static constexpr std::uint64_t kChunks = kLargestFile >> kChunkShift;

    using Word = std::atomic<std::uint64_t>;
    struct alignas(64) Units {
        std::array<Word, kWords> live;
        std::array<Word, kWords> freed;
    };
    /// The chunks that one growth of the file added. Each part is as large as all parts before it. So a long file has
    /// few parts, and a short file reserves few addresses.
    struct Part {
        sys::LazyArray<Units> units;
        sys::LazyArray<std::atomic<std::uint32_t>> punches;  // odd while the chunk is being punched
    };
    static constexpr std::uint64_t kFirstPart = std::uint64_t{1} << 16;  // chunks: 64 GiB
    static constexpr std::size_t kParts = 9;
    static_assert(kFirstPart << (kParts - 1) == kChunks);

    /// Units of the file that are being punched, and the chunks that they are in.
    struct Piece {
        core::UnitRange units{};
        std::uint64_t first_chunk = 0;
        std::uint64_t last_chunk = 0;
    };
    /// Units of one chunk, counted from its first.
    struct Run {
        core::UnitRange units{};
        bool more = false;  // freed units follow the run
    };

    struct Place {
        const Part& part;
        std::uint64_t index;
        [[nodiscard]] Units& units() const FAULTLINE_SIGNAL_SAFE { return part.units[index]; }
        [[nodiscard]] std::atomic<std::uint32_t>& punches() const FAULTLINE_SIGNAL_SAFE { return part.punches[index]; }
    };
    [[nodiscard]] Place place_of(std::uint64_t chunk) const FAULTLINE_SIGNAL_SAFE;

    template <typename Visit>
    void for_each_word(std::uint64_t offset, std::uint64_t bytes, Visit visit) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool make_live(Units& units, std::size_t word, std::uint64_t mask) FAULTLINE_SIGNAL_SAFE;
    void wait_for_punch(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] static bool in_use(const Units& units) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] static unsigned freed_in(const Units& units) FAULTLINE_SIGNAL_SAFE;
    void mark_due_if_unused(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE;

    void mark_due(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE;
    bool clear_due(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Piece take_piece(std::uint64_t keep_bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool extend(Piece& piece) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] static Run first_run(Units& units) FAULTLINE_SIGNAL_SAFE;
    void take_freed(Units& units, Run run) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool begin_punch(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE;
    void end_punch(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE;
    void end_punches(const Piece& piece) FAULTLINE_SIGNAL_SAFE;

    std::array<Part, kParts> parts_;
    std::atomic<std::uint64_t> chunks_{0};                              // number of chunks that have a part
    sys::AtomicBits written_{kChunks, "a map of a swap file's parts"};  // chunks that were ever written to
    sys::AtomicBits due_{kChunks, "a map of a swap file's freed parts"};
    std::atomic<std::uint64_t> due_chunks_{0};  // size of due_
    std::atomic<std::int64_t> freed_units_{0};  // for decisions only; correctness does not depend on it
    sys::Event punch_ended_;                    // writes wait for it
};

}  // namespace faultline::store
