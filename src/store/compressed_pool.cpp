#include "store/compressed_pool.hpp"

#include "core/check.hpp"
#include "sys/signal_block.hpp"

#include <cstring>
#include <memory>
#include <new>
#include <utility>

namespace faultline::store {

CompressedStats CompressedPool::stats() const noexcept {
    const auto value = [](const std::atomic<std::uint64_t>& counter) {
        return counter.load(std::memory_order_relaxed);
    };
    return {value(counters_.compressed_bytes),
            value(counters_.original_bytes),
            segments_.used(),
            value(counters_.rejections),
            value(counters_.overflows),
            value(counters_.spills),
            value(counters_.hits),
            value(counters_.misses),
            value(counters_.damaged)};
}

void CompressedPool::set_limit(std::size_t bytes) noexcept {
    const sys::SignalBlock no_signals;
    segments_.set_limit(bytes);
}

bool CompressedPool::free_is_below(std::size_t fraction) const FAULTLINE_SIGNAL_SAFE {
    const std::size_t limit = segments_.limit();
    const std::size_t wanted = core::align_down(limit / fraction, SegmentPool::kSegmentBytes);
    return segments_.used() + wanted > limit;
}

// ---- Registering stores

void CompressedPool::unregister_table(std::uint32_t id) noexcept {
    const sys::SignalBlock no_signals;  // the locks below belong to the fault path
    const BlockTable& table = tables_.remove(id);
    table.for_each_touched([&](std::uint64_t block) {
        if (!table.load(block).is(BlockPlace::pool)) return;
        release_entry(table, table.change(block, [](BlockWord word) { return word.discarded(); }));
    });
    tables_.free(id);
}

// ---- Entries

const CompressedPool::Entry& CompressedPool::entry_at(PoolSlot slot) const noexcept {
    return *std::launder(reinterpret_cast<const Entry*>(segments_.address_of(slot)));
}

std::span<const std::byte> CompressedPool::bytes_of(const Entry& entry) const noexcept {
    return {reinterpret_cast<const std::byte*>(&entry + 1), entry.bytes};
}

bool CompressedPool::decode(const Entry& entry, std::uint64_t seed,
                            std::span<std::byte> into) const FAULTLINE_SIGNAL_SAFE {
    if (!is_sound(entry)) return false;
    const std::span<const std::byte> bytes = bytes_of(entry);
    return checksum_of(bytes, seed) == entry.checksum && decompress(bytes, into);
}

bool CompressedPool::insert(std::uint32_t id, std::uint64_t block,
                            std::span<const std::byte> compressed) FAULTLINE_SIGNAL_SAFE {
    const BlockTable& table = tables_.at(id);
    const SegmentPool::Room room = make_room(sizeof(Entry) + compressed.size());
    if (!room) return false;
    std::memcpy(room.bytes() + sizeof(Entry), compressed.data(), compressed.size());
    auto* const entry = new (room.bytes()) Entry{0, block, id, static_cast<std::uint32_t>(compressed.size())};
    CompressedCounters::add(counters_.compressed_bytes, compressed.size());
    CompressedCounters::add(counters_.original_bytes, table.block_bytes());

    BlockWord seen = table.load(block);
    do {
        entry->checksum = checksum_of(compressed, table.seed(block, seen.next_generation()));
    } while (!table.try_change(block, seen, seen.stored_in(room.slot())));
    release_entry(table, seen);
    return true;
}

SegmentPool::Room CompressedPool::make_room(std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    SegmentPool::Room room = segments_.reserve(bytes);
    if (room) return room;
    const unsigned spiller = free_spillers_.try_take();
    if (spiller == sys::SlotPool::kNone)
        return room;  // other threads spill, and writing one block behind is faster than to wait for them
    SequentialWriteQueue queue;
    // Other threads may take the segments freed here, so try again; but not forever.
    for (int attempt = 0; attempt < 4 && !room && free_segment(spiller, queue).freed; ++attempt) {
        room = segments_.reserve(bytes);
    }
    free_spillers_.give_back(spiller);
    return room;
}

CompressedPool::Fetched CompressedPool::fetch(const BlockTable& table, std::uint64_t block, BlockWord seen,
                                              std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
    const SegmentPool::Pin pin{segments_, seen.slot()};
    if (table.load(block) != seen) return Fetched::changed;
    if (!decode(entry_at(seen.slot()), table.seed(block, seen.generation()), into)) {
        CompressedCounters::add(counters_.damaged);
        return Fetched::damaged;
    }
    CompressedCounters::add(counters_.hits);
    return Fetched::done;
}

/// Kills the entry at `slot`. The entry still counts as live here, so its segment is not reused meanwhile.
void CompressedPool::kill_entry(PoolSlot slot, std::size_t block_bytes) FAULTLINE_SIGNAL_SAFE {
    if (!is_sound(entry_at(slot))) return;  // memory was overwritten; the segment stays used
    const std::size_t bytes = entry_at(slot).bytes;
    CompressedCounters::subtract(counters_.compressed_bytes, bytes);
    CompressedCounters::subtract(counters_.original_bytes, block_bytes);
    segments_.kill(slot, sizeof(Entry) + bytes);
}

}  // namespace faultline::store
