#include "store/freed_blocks.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <tuple>

namespace faultline::store {
namespace {

// All read-modify-writes here are sequentially consistent. Two threads that free the last two live units of a chunk
// must not both see the other's unit as live; otherwise the chunk would never be due.

using UnitSet = std::array<std::uint64_t, FreedBlocks::kChunkBytes / core::kUnitBytes / core::kBitsPerWord>;
constexpr std::size_t kUnitsOfSet = core::kBitsPerWord * std::tuple_size_v<UnitSet>;

/// Returns the first unit of the set at or after `unit`, or kUnitsOfSet.
std::size_t first_from(const UnitSet& set, std::size_t unit) FAULTLINE_SIGNAL_SAFE {
    return core::next_one(unit, kUnitsOfSet, [&](std::uint64_t word) { return set[word]; });
}

/// Returns the unit after the last unit of the set before `unit`, or 0.
std::size_t behind_last_before(const UnitSet& set, std::size_t unit) FAULTLINE_SIGNAL_SAFE {
    for (; unit > 0; unit = (unit - 1) / 64 * 64) {
        const std::size_t first = (unit - 1) / 64 * 64;
        const std::uint64_t before = set[first / 64] & core::ones(0, unit - first);
        if (before != 0) return first + static_cast<std::size_t>(std::bit_width(before));
    }
    return 0;
}

}  // namespace

void FreedBlocks::grow_to(std::uint64_t bytes) {
    const std::uint64_t wanted = std::min((bytes + kChunkBytes - 1) >> kChunkShift, kChunks);
    while (chunks_.load() < wanted) {
        const std::uint64_t have = chunks_.load();
        const std::uint64_t more = have == 0 ? kFirstPart : have;
        Part part{{more, "a map of a swap file's units"}, {more, "a list of a swap file's punches"}};
        parts_[have == 0 ? 0 : static_cast<std::size_t>(std::bit_width(have / kFirstPart))] = std::move(part);
        chunks_.store(have + more);
    }
}

FreedBlocks::Place FreedBlocks::place_of(std::uint64_t chunk) const FAULTLINE_SIGNAL_SAFE {
    if (chunk < kFirstPart) return {parts_[0], chunk};
    const std::uint64_t first = std::bit_floor(chunk);
    return {parts_[static_cast<std::size_t>(std::bit_width(chunk / kFirstPart))], chunk - first};
}

/// Calls `visit(chunk, word, mask)` for each word of units that overlaps the range. If `visit` returns false, the chunk
/// was never written to: continues with the next chunk that was.
template <typename Visit>
void FreedBlocks::for_each_word(std::uint64_t offset, std::uint64_t bytes, Visit visit) const FAULTLINE_SIGNAL_SAFE {
    const std::uint64_t known = chunks_.load(std::memory_order_acquire) * kUnitsOfChunk;
    const std::uint64_t end = std::min((offset + bytes) >> core::kUnitShift, known);
    for (std::uint64_t unit = offset >> core::kUnitShift; unit < end;) {
        const std::uint64_t first = unit % core::kBitsPerWord;
        const std::uint64_t count = std::min(core::kBitsPerWord - first, end - unit);
        const std::uint64_t chunk = unit / kUnitsOfChunk;
        if (!visit(chunk, unit % kUnitsOfChunk / core::kBitsPerWord, core::ones(first, count))) {
            unit = next_written(chunk + 1, (end + kUnitsOfChunk - 1) / kUnitsOfChunk) * kUnitsOfChunk;
        } else {
            unit += count;
        }
    }
}

// ---- Writing

void FreedBlocks::mark_in_use(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    for_each_word(offset, bytes, [&](std::uint64_t chunk, std::size_t word, std::uint64_t mask) {
        written_.set(chunk);
        if (make_live(place_of(chunk).units(), word, mask)) wait_for_punch(chunk);
        return true;
    });
}

/// Makes units live. Returns false if all were live already: then no punch can include them.
bool FreedBlocks::make_live(Units& units, std::size_t word, std::uint64_t mask) FAULTLINE_SIGNAL_SAFE {
    if ((units.live[word].load(std::memory_order_acquire) & mask) == mask) return false;
    units.live[word].fetch_or(mask);
    if ((units.freed[word].load(std::memory_order_relaxed) & mask) != 0) {
        freed_units_.fetch_sub(std::popcount(units.freed[word].fetch_and(~mask) & mask));
    }
    return true;
}

/// Blocks until the current punch of the chunk, if any, has ended. A later punch sees the unit live.
void FreedBlocks::wait_for_punch(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE {
    const std::atomic<std::uint32_t>& punches = place_of(chunk).punches();
    const std::uint32_t seen = punches.load();
    if (seen % 2 == 0) return;
    punch_ended_.wait_until([&] { return punches.load() != seen; });
}

// ---- Freeing

void FreedBlocks::free(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    std::uint64_t last = kChunks;
    for_each_word(offset, bytes, [&](std::uint64_t chunk, std::size_t word, std::uint64_t mask) {
        if (!written_.test(chunk)) return false;
        Units& units = place_of(chunk).units();
        // Clear `live` before setting `freed`: a punch that finds a freed unit live would skip it forever.
        units.live[word].fetch_and(~mask);
        // Also for units that were not live: a write in flight when the range was freed may have left blocks.
        freed_units_.fetch_add(std::popcount(mask & ~units.freed[word].fetch_or(mask)));
        if (last != chunk && last != kChunks) mark_due_if_unused(last);
        last = chunk;
        return true;
    });
    if (last != kChunks) mark_due_if_unused(last);
}

void FreedBlocks::untrack(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    for_each_word(offset, bytes, [&](std::uint64_t chunk, std::size_t word, std::uint64_t mask) {
        if (!written_.test(chunk)) return false;
        Units& units = place_of(chunk).units();
        units.live[word].fetch_and(~mask);
        freed_units_.fetch_sub(std::popcount(units.freed[word].fetch_and(~mask) & mask));
        mark_due_if_unused(chunk);
        return true;
    });
}

std::uint64_t FreedBlocks::freed_bytes() const FAULTLINE_SIGNAL_SAFE {
    const std::int64_t units = freed_units_.load(std::memory_order_relaxed);
    return static_cast<std::uint64_t>(std::max<std::int64_t>(units, 0)) << core::kUnitShift;
}

bool FreedBlocks::in_use(const Units& units) FAULTLINE_SIGNAL_SAFE {
    for (const Word& word : units.live) {
        if (word.load() != 0) return true;
    }
    return false;
}

unsigned FreedBlocks::freed_in(const Units& units) FAULTLINE_SIGNAL_SAFE {
    unsigned freed = 0;
    for (const Word& word : units.freed) freed += static_cast<unsigned>(std::popcount(word.load()));
    return freed;
}

void FreedBlocks::mark_due_if_unused(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE {
    const Units& units = place_of(chunk).units();
    if (!in_use(units) && freed_in(units) > 0) mark_due(chunk);
}

// ---- Choosing chunks

void FreedBlocks::mark_due(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE {
    if (due_.set(chunk)) due_chunks_.fetch_add(1);
}

bool FreedBlocks::clear_due(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE {
    if (!due_.clear(chunk)) return false;
    due_chunks_.fetch_sub(1);
    return true;
}

void FreedBlocks::mark_fullest_due(std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    const std::uint64_t end = chunks_.load();
    std::uint64_t listed = 0;
    for (const unsigned least : {128U, 32U, 8U, 1U}) {
        for (std::uint64_t chunk = next_written(0, end); chunk < end; chunk = next_written(chunk + 1, end)) {
            if (due_.test(chunk)) continue;
            const unsigned freed = freed_in(place_of(chunk).units());
            if (freed < least) continue;
            mark_due(chunk);
            listed += std::uint64_t{freed} << core::kUnitShift;
            if (listed >= bytes) return;
        }
    }
}

// ---- Punching

FreedBlocks::Piece FreedBlocks::take_piece(std::uint64_t keep_bytes) FAULTLINE_SIGNAL_SAFE {
    const std::uint64_t end = chunks_.load();
    for (std::uint64_t chunk = due_.next_set(0, end); chunk < end; chunk = due_.next_set(chunk + 1, end)) {
        if (!begin_punch(chunk)) continue;  // another thread punches it
        // Before reading the units: a chunk that becomes due from here on is due again.
        Units& units = place_of(chunk).units();
        Run run;
        if (clear_due(chunk) && (!in_use(units) || freed_bytes() > keep_bytes)) run = first_run(units);
        if (run.units.empty()) {
            end_punch(chunk);
            continue;
        }
        take_freed(units, run);
        if (run.more) mark_due(chunk);
        Piece piece{{chunk * kUnitsOfChunk + run.units.first, run.units.count}, chunk, chunk};
        while (extend(piece)) {
        }
        return piece;
    }
    return {};
}

/// Extends the piece into the next chunk, if the piece reaches it. Returns false if the piece is complete.
bool FreedBlocks::extend(Piece& piece) FAULTLINE_SIGNAL_SAFE {
    const std::uint64_t next = piece.last_chunk + 1;
    if (piece.units.end() != next * kUnitsOfChunk || next == chunks_.load()) return false;
    if (next - piece.first_chunk >= kLargestPiece >> kChunkShift) return false;
    if (!due_.test(next) || !begin_punch(next)) return false;
    Units& units = place_of(next).units();
    const bool was_due = clear_due(next);
    const Run run = was_due ? first_run(units) : Run{};
    if (run.units.empty() || run.units.first > 0) {
        end_punch(next);
        if (!run.units.empty()) mark_due(next);
        return false;
    }
    take_freed(units, run);
    if (run.more) mark_due(next);
    piece.units.count += run.units.count;
    piece.last_chunk = next;
    return true;
}

/// Returns the first run of units that are not live with at least one freed unit. Other units in it have no blocks, so
/// punching them costs nothing.
FreedBlocks::Run FreedBlocks::first_run(Units& units) FAULTLINE_SIGNAL_SAFE {
    UnitSet live{};
    UnitSet freed{};
    for (std::size_t word = 0; word < live.size(); ++word) {
        freed[word] = units.freed[word].load();
        live[word] = units.live[word].fetch_or(0);  // step 2 of a punch: a concurrent write comes before this, or waits
        freed[word] &= ~live[word];
    }
    const std::size_t first = first_from(freed, 0);
    if (first == kUnitsOfChunk) return {};
    const std::size_t begin = behind_last_before(live, first);
    const std::size_t end = first_from(live, first);
    return {{begin, end - begin}, first_from(freed, end) < kUnitsOfChunk};
}

/// Takes the freed units of a run for the punch. A unit freed later is punched again, which is useless but harmless.
void FreedBlocks::take_freed(Units& units, Run run) FAULTLINE_SIGNAL_SAFE {
    core::for_each_word(run.units.first, run.units.count, [&](std::uint64_t word, std::uint64_t mask) {
        freed_units_.fetch_sub(std::popcount(units.freed[word].fetch_and(~mask) & mask));
    });
}

/// Begins a punch. Returns false if another thread punches the chunk.
bool FreedBlocks::begin_punch(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE {
    std::atomic<std::uint32_t>& punches = place_of(chunk).punches();
    std::uint32_t seen = punches.load();
    return seen % 2 == 0 && punches.compare_exchange_strong(seen, seen + 1);
}

void FreedBlocks::end_punch(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE {
    place_of(chunk).punches().fetch_add(1);
    punch_ended_.notify();
}

void FreedBlocks::end_punches(const Piece& piece) FAULTLINE_SIGNAL_SAFE {
    for (std::uint64_t chunk = piece.first_chunk; chunk <= piece.last_chunk; ++chunk) end_punch(chunk);
}

}  // namespace faultline::store
