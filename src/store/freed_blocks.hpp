// FreedBlocks: which units (4 KiB) of one swap file are in use, and which were freed and still have their blocks. It
// chooses the large pieces in which blocks go back to the file system, and keeps a write to a piece waiting while that
// piece is being punched. It makes no call for the file: who punches hands in how.
#pragma once

#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "sys/lazy_array.hpp"

#include <array>
#include <atomic>
#include <cstdint>

namespace faultline::store {

// A unit is live from the write that needs it until it is freed. Only units that are not live are ever punched:
//
//   a write                                     a punch of a chunk (1 MiB)
//   1 live |= unit    (read-modify-write)       1 punches: even -> odd
//   2 punches odd? sleep until it has changed   2 reads live (read-modify-write), chooses units that are not live
//   3 writes                                    3 fallocate
//                                               4 punches: odd -> even, wakes the writes that sleep
//
// Both change the same word `live`, so one comes first. If the write does, the punch reads the unit as live and leaves
// it alone. If the punch does, the write reads what the punch wrote or something later, so it sees what was done before
// that: `punches` is odd, or has changed since, and step 3 of the write is after step 3 of the punch. A unit that a
// write finds live already was made live by a write before, which waited for the punch of its time; every later punch
// sees it.
//
// The pager never has two writes of one unit in flight, and frees a unit while it owns the page. It may free a unit
// whose write is in flight, and frees it again when that write has ended: in between the unit may be punched under the
// write, and holds nothing that is read.

/// Offsets and sizes are in bytes of the file, multiples of 4 KiB. All but grow_to may be called by any thread at any
/// time.
class FreedBlocks {
public:
    static constexpr unsigned kChunkShift = 20;
    static constexpr std::uint64_t kChunkBytes = std::uint64_t{1} << kChunkShift;
    /// Of what is beyond, nothing is known: ext4's largest file.
    static constexpr std::uint64_t kLargestFile = std::uint64_t{16} << 40;
    /// No piece is larger, so that no write waits for longer than one call takes.
    static constexpr std::uint64_t kLargestPiece = std::uint64_t{64} << 20;

    FreedBlocks();

    /// The file is at least `bytes` long from now on. One call at a time, and before any other call for what is new.
    /// Throws std::system_error (ENOMEM).
    void grow_to(std::uint64_t bytes);

    /// The range is in use from now on. Call before each write to it; returns when no punch of it is under way, which
    /// may take as long as one call that punches. Signal-safe.
    void about_to_write(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE;

    /// The range is not read before it is written again: its blocks are due to be punched. Signal-safe.
    void free(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE;

    /// The caller, who owns the range, punches it. Signal-safe.
    void forget(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE;

    /// Bytes that were freed and not punched; off by what other threads are just doing.
    [[nodiscard]] std::uint64_t freed_bytes() const FAULTLINE_SIGNAL_SAFE;

    /// Whether a chunk is due: none of it is in use any more, or list_fullest chose it.
    [[nodiscard]] bool any_due() const FAULTLINE_SIGNAL_SAFE { return due_chunks_.load() > 0; }

    /// Makes chunks due that have freed units, those with most first, until they have `bytes`. Signal-safe.
    void list_fullest(std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE;

    /// Calls `punch(offset, bytes)` for one piece of what is due: a run of units of which none is in use, over as many
    /// chunks as are due one after the other. Chunks of which a part is in use are passed over when no more than
    /// `keep_bytes` are freed. False: nothing is due.
    template <typename Punch>
    bool punch_one(std::uint64_t keep_bytes, Punch punch) FAULTLINE_SIGNAL_SAFE {
        const Piece piece = take_piece(keep_bytes);
        if (piece.end == piece.begin) return false;
        punch(piece.begin << core::kUnitShift, (piece.end - piece.begin) << core::kUnitShift);
        end_punches(piece);
        return true;
    }

    /// The first chunk from `chunk` on that was ever written to; `end` when there is none before it.
    [[nodiscard]] std::uint64_t next_written(std::uint64_t chunk, std::uint64_t end) const FAULTLINE_SIGNAL_SAFE {
        return next_set(written_, chunk, end);
    }

private:
    static constexpr std::size_t kUnitsOfWord = 64;
    static constexpr std::size_t kUnitsOfChunk = kChunkBytes / core::kUnitBytes;
    static constexpr std::size_t kWords = kUnitsOfChunk / kUnitsOfWord;
    static constexpr std::uint64_t kChunks = kLargestFile >> kChunkShift;

    using Word = std::atomic<std::uint64_t>;
    using ChunkSet = sys::LazyArray<Word>;  // one bit for each
    struct alignas(64) Units {
        std::array<Word, kWords> live;
        std::array<Word, kWords> freed;
    };
    /// Chunks that the file got by growing. Each is as large as all before it, so a long file has few and a short one
    /// takes few addresses.
    struct Part {
        sys::LazyArray<Units> units;
        sys::LazyArray<std::atomic<std::uint32_t>> punches;  // futexes: odd while a chunk is being punched
    };
    static constexpr std::uint64_t kFirstPart = std::uint64_t{1} << 16;  // chunks: 64 GiB
    static constexpr std::size_t kParts = 9;
    static_assert(kFirstPart << (kParts - 1) == kChunks);

    /// Units [begin, end), which are being punched, in chunks [first, last].
    struct Piece {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        std::uint64_t first = 0;
        std::uint64_t last = 0;
    };
    /// Units of one chunk, from its first.
    struct Run {
        std::size_t begin = 0;
        std::size_t end = 0;
        bool more = false;  // freed units follow
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
    void outwait_punch(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] static bool in_use(const Units& units) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] static unsigned freed_in(const Units& units) FAULTLINE_SIGNAL_SAFE;
    void list_if_unused(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE;

    void list(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE;
    bool unlist(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Piece take_piece(std::uint64_t keep_bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool extend(Piece& piece) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] static Run first_run(Units& units) FAULTLINE_SIGNAL_SAFE;
    void take_freed(Units& units, Run run) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool begin_punch(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE;
    void end_punch(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE;
    void end_punches(const Piece& piece) FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] static std::uint64_t next_set(const ChunkSet& set, std::uint64_t chunk,
                                                std::uint64_t end) FAULTLINE_SIGNAL_SAFE;

    std::array<Part, kParts> parts_;
    std::atomic<std::uint64_t> chunks_{0};  // that have a part
    ChunkSet written_;                      // chunks that were ever written to
    ChunkSet due_;
    std::atomic<std::uint64_t> due_chunks_{0};  // in that set
    std::atomic<std::int64_t> freed_units_{0};  // for decisions, not for correctness
    std::atomic<std::uint32_t> waiting_{0};     // writes that wait for a punch
};

}  // namespace faultline::store
