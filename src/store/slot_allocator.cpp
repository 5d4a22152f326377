#include "store/slot_allocator.hpp"

#include "core/check.hpp"
#include "core/units.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

namespace faultline::store {
namespace {

constexpr std::uint64_t kLeastWaste = (std::uint64_t{32} << 20) >> core::kUnitShift;

using State = SlotChunk::State;

}  // namespace

void SlotAllocator::add_shelf(std::uint32_t number) {
    shelves_.reserve(shelves_.size() + 1);
    const std::scoped_lock lock{lock_};
    shelves_.push_back(number);
}

std::uint64_t SlotAllocator::capacity_bytes() const noexcept {
    std::uint64_t chunks = 0;
    for (const std::uint32_t number : shelves_) chunks += table_.shelf(number)->usable_chunks;
    return chunks * SlotChunk::kSlots << core::kUnitShift;
}

bool SlotAllocator::is_unused(const SlotShelf& shelf) const noexcept {
    const std::scoped_lock lock{lock_};
    return shelf.allotted.load() == 0;
}

// ---- Allotting

SlotRun SlotAllocator::allot(unsigned size_class, std::uint32_t pages) FAULTLINE_SIGNAL_SAFE {
    SlotRun run;
    {
        const std::scoped_lock lock{lock_};
        do {
            run = allot_in_open(size_class, pages);
        } while (run.count == 0 && open_next(size_class));
    }
    const std::uint32_t block = std::min(std::uint32_t{1} << size_class, kBlockSlots);
    for (std::uint32_t i = 0; i < run.count; i += block) table_.store(run.first + i, SlotWord::open());
    return run;
}

SlotRun SlotAllocator::allot_in_open(unsigned size_class, std::uint32_t pages) {
    Open& open = open_[size_class];
    if (open.chunk == 0) return {};
    SlotChunk& chunk = chunk_at(open.chunk);
    const SlotChunk::Run free = chunk.next_free(open.from);
    if (free.count == 0) {
        list(open.chunk);
        open.chunk = 0;
        return {};
    }
    // Pages are allotted and become free as a whole, so a free run consists of whole pages.
    const std::uint32_t count = std::min(free.count, pages << size_class);
    change(chunk, [&] { chunk.mark_allotted(free.first, count); });
    open.from = free.first + count;
    allotted_.fetch_add(count, std::memory_order_relaxed);
    table_.shelf(open.chunk >> kShelfShift)->allotted.fetch_add(count, std::memory_order_relaxed);
    return {first_slot_of(open.chunk) + free.first, count};
}

/// Opens another chunk. Returns false if no slot is free.
bool SlotAllocator::open_next(unsigned size_class) {
    const ChunkNumber number = next_chunk(size_class);
    if (number == 0) return false;
    SlotChunk& chunk = chunk_at(number);
    chunk.state = State::open;
    chunk.size_class = static_cast<std::uint8_t>(size_class);
    open_[size_class] = {number, 0};
    return true;
}

/// Takes the chunk to use next off its list. 0: none.
SlotAllocator::ChunkNumber SlotAllocator::next_chunk(unsigned size_class) {
    ChunkNumber number = 0;
    if (waste_.load(std::memory_order_relaxed) > reuse_bound()) number = emptiest_partial(size_class);
    if (number == 0) number = empty_.last;
    if (number == 0) number = clean_.last;
    if (number == 0) {
        if (const ChunkNumber fresh = take_fresh()) return fresh;
        number = emptiest_partial(size_class);
    }
    if (number != 0) unlist(number);
    return number;
}

SlotAllocator::ChunkNumber SlotAllocator::emptiest_partial(unsigned size_class) {
    for (const List& bucket : partial_[size_class]) {
        if (bucket.first != 0) return bucket.first;
    }
    return 0;
}

SlotAllocator::ChunkNumber SlotAllocator::take_fresh() {
    for (; fresh_shelf_ < shelves_.size(); ++fresh_shelf_, fresh_chunk_ = 0) {
        const std::uint32_t shelf = shelves_[fresh_shelf_];
        if (fresh_chunk_ >= table_.shelf(shelf)->usable_chunks) continue;
        table_.shelf(shelf)->charge.add(1);
        return (shelf << kShelfShift) + fresh_chunk_++;
    }
    return 0;
}

/// Free disk space in chunks that are in use: above this, they are used again before others.
std::uint64_t SlotAllocator::reuse_bound() const FAULTLINE_SIGNAL_SAFE {
    return std::max(kLeastWaste, allotted_.load(std::memory_order_relaxed) / 2);
}

// ---- Freeing

void SlotAllocator::free(SlotRun slots) FAULTLINE_SIGNAL_SAFE {
    SlotShelf& shelf = table_.shelf_of(slots.first);
    const ChunkNumber number = chunk_of(slots.first);
    const std::scoped_lock lock{lock_};
    SlotChunk& chunk = chunk_at(number);
    const SlotChunk::Run page = chunk.mark_leaving(slots.first % SlotChunk::kSlots, slots.count);
    if (page.count == 0) return;
    shelf.allotted.fetch_sub(page.count, std::memory_order_relaxed);
    allotted_.fetch_sub(page.count, std::memory_order_relaxed);
    if (shelf.frozen) return;
    change(chunk, [&] { chunk.mark_free(page.first, page.count); });
    if (chunk.state == State::punching || (chunk.state == State::open && chunk.used > 0)) return;
    if (chunk.state == State::open) {  // its blocks can go back; it is the next to be opened
        open_[chunk.size_class] = {};
        return list(number);
    }
    const bool stays = chunk.state == State::partial && chunk.used > 0 && chunk.used / kPerBucket == chunk.bucket;
    if (stays) return;
    if (chunk.state != State::full) unlist(number);
    list(number);
}

/// Changes a chunk, and keeps the sum of the waste.
template <typename Change>
void SlotAllocator::change(SlotChunk& chunk, Change apply) {
    const std::uint64_t before = chunk.waste;
    apply();
    waste_.fetch_add(chunk.waste - before, std::memory_order_relaxed);
}

// ---- Lists

/// Puts a chunk that is on no list on the one that its slots demand.
void SlotAllocator::list(ChunkNumber number) {
    SlotChunk& chunk = chunk_at(number);
    if (chunk.used == SlotChunk::kSlots) {
        chunk.state = State::full;
        return;
    }
    if (chunk.used > 0) {
        chunk.state = State::partial;
        chunk.bucket = static_cast<std::uint8_t>(chunk.used / kPerBucket);
    } else {
        chunk.state = chunk.waste > 0 ? State::empty : State::fresh;
        if (chunk.state == State::empty) empty_chunks_.fetch_add(1, std::memory_order_relaxed);
    }
    push(list_of(chunk), number);
}

void SlotAllocator::unlist(ChunkNumber number) {
    SlotChunk& chunk = chunk_at(number);
    remove(list_of(chunk), number);
    if (chunk.state == State::empty) empty_chunks_.fetch_sub(1, std::memory_order_relaxed);
}

SlotAllocator::List& SlotAllocator::list_of(const SlotChunk& chunk) {
    if (chunk.state == State::partial) return partial_[chunk.size_class][chunk.bucket];
    return chunk.state == State::empty ? empty_ : clean_;
}

void SlotAllocator::push(List& list, ChunkNumber number) {
    SlotChunk& chunk = chunk_at(number);
    chunk.before = list.last;
    chunk.next = 0;
    (list.last != 0 ? chunk_at(list.last).next : list.first) = number;
    list.last = number;
}

void SlotAllocator::remove(List& list, ChunkNumber number) {
    const SlotChunk& chunk = chunk_at(number);
    (chunk.before != 0 ? chunk_at(chunk.before).next : list.first) = chunk.next;
    (chunk.next != 0 ? chunk_at(chunk.next).before : list.last) = chunk.before;
}

// ---- Giving blocks back

std::uint64_t SlotAllocator::waste_bytes() const FAULTLINE_SIGNAL_SAFE {
    return waste_.load(std::memory_order_relaxed) << core::kUnitShift;
}

std::uint64_t SlotAllocator::allotted_bytes() const FAULTLINE_SIGNAL_SAFE {
    return allotted_.load(std::memory_order_relaxed) << core::kUnitShift;
}

bool SlotAllocator::worth_punching() const FAULTLINE_SIGNAL_SAFE {
    return empty_chunks_.load(std::memory_order_relaxed) > 0 || too_much_waste();
}

bool SlotAllocator::too_much_waste() const FAULTLINE_SIGNAL_SAFE {
    return waste_.load(std::memory_order_relaxed) > reuse_bound() / 4 * 5;
}

SlotAllocator::Piece SlotAllocator::begin_punching(bool also_partial) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    ChunkNumber first = empty_.first;
    if (first == 0 && also_partial) first = most_wasteful();
    if (first == 0 && also_partial) {
        close_wasteful();
        first = empty_.first != 0 ? empty_.first : most_wasteful();
    }
    if (first == 0) return {};
    const bool empty = chunk_at(first).state == State::empty;
    std::uint32_t count = 0;
    const auto take = [&](ChunkNumber number) {
        unlist(number);
        chunk_at(number).state = State::punching;
        ++count;
    };
    take(first);
    const auto is_empty = [&](ChunkNumber number) {
        return number >> kShelfShift == first >> kShelfShift && chunk_at(number).state == State::empty;
    };
    if (empty) {
        while (count < kMostPunched && is_empty(first - 1)) take(--first);
        while (count < kMostPunched && is_empty(first + count)) take(first + count);
    }
    return {{first_slot_of(first), count << kChunkShift}};
}

/// Closes the open chunks that have waste.
void SlotAllocator::close_wasteful() {
    for (Open& open : open_) {
        if (open.chunk == 0 || chunk_at(open.chunk).waste == 0) continue;
        list(open.chunk);
        open = {};
    }
}

/// Returns a partial chunk with much waste. 0: none has any.
SlotAllocator::ChunkNumber SlotAllocator::most_wasteful() {
    constexpr int kMostExamined = 64;
    ChunkNumber best = 0;
    int examined = 0;
    for (std::uint32_t bucket = 0; bucket < kBuckets && best == 0; ++bucket) {
        for (const auto& by_bucket : partial_) {
            for (ChunkNumber number = by_bucket[bucket].first; number != 0; number = chunk_at(number).next) {
                const std::uint16_t waste = chunk_at(number).waste;
                if (waste > 0 && (best == 0 || waste > chunk_at(best).waste)) best = number;
                if (++examined >= kMostExamined && best != 0) return best;
            }
        }
    }
    return best;
}

SlotRun SlotAllocator::next_to_punch(const Piece& piece, SlotNumber from) FAULTLINE_SIGNAL_SAFE {
    const SlotNumber end = piece.slots.first + piece.slots.count;
    SlotRun run;
    const std::scoped_lock lock{lock_};
    // Empty chunks are given back in one piece, with slots that were allocated ahead and never used.
    const bool empty = piece.slots.count > SlotChunk::kSlots || chunk_at(chunk_of(piece.slots.first)).used == 0;
    if (empty) return from == piece.slots.first ? piece.slots : run;
    while (from < end) {
        const SlotChunk& chunk = chunk_at(chunk_of(from));
        const SlotChunk::Run waste = chunk.next_waste(from % SlotChunk::kSlots);
        const SlotNumber base = first_slot_of(chunk_of(from));
        if (waste.count > 0) return {base + waste.first, waste.count};
        from = base + SlotChunk::kSlots;
    }
    return run;
}

void SlotAllocator::punched(SlotRun run) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    for (std::uint32_t done = 0; done < run.count;) {
        const SlotNumber slot = run.first + done;
        const std::uint32_t first = slot % SlotChunk::kSlots;
        const std::uint32_t count = std::min(run.count - done, SlotChunk::kSlots - first);
        SlotChunk& chunk = chunk_at(chunk_of(slot));
        change(chunk, [&] { chunk.mark_punched(first, count); });
        done += count;
    }
}

void SlotAllocator::end_punching(const Piece& piece) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock lock{lock_};
    for (std::uint32_t done = 0; done < piece.slots.count; done += SlotChunk::kSlots) {
        list(chunk_of(piece.slots.first + done));
    }
}

// ---- Fork

SlotRun SlotAllocator::next_never_used(SlotNumber from) const noexcept {
    const ChunkNumber number = chunk_of(from);
    const SlotChunk::Run run = chunk_at(number).next_never_used(from % SlotChunk::kSlots);
    return {first_slot_of(number) + run.first, run.count};
}

std::vector<std::uint32_t> SlotAllocator::freeze(std::vector<std::uint32_t> next) noexcept {
    std::vector<std::uint32_t> unused = std::exchange(shelves_, std::move(next));
    std::erase_if(unused, [this](std::uint32_t number) {
        SlotShelf& shelf = *table_.shelf(number);
        shelf.frozen = shelf.allotted.load() > 0;
        if (!shelf.frozen) {
            shelf.chunks.clear();
            shelf.preallocated.clear(0, SlotShelf::kChunks);
            shelf.charge.set(0);
        }
        return shelf.frozen;
    });
    open_ = {};
    partial_ = {};
    empty_ = clean_ = {};
    empty_chunks_.store(0);
    waste_.store(0);
    fresh_shelf_ = 0;
    fresh_chunk_ = 0;
    return unused;
}

}  // namespace faultline::store
