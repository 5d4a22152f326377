#include "store/compressed_pool.hpp"

#include "core/check.hpp"
#include "store/page_checksum.hpp"

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
            value(counters_.damaged),
            value(counters_.inserts)};
}

CompressedShare CompressedPool::share() const FAULTLINE_SIGNAL_SAFE {
    const CompressedStats now = stats();
    return {segments_.limit(), segments_.held(), now.compressed_bytes,      now.original_bytes,
            now.inserts,       now.rejections,   now.spills + now.overflows};
}

bool CompressedPool::free_is_below(std::size_t fraction) const FAULTLINE_SIGNAL_SAFE {
    const std::size_t limit = segments_.limit();
    const std::size_t wanted = core::align_down(limit / fraction, SegmentPool::kSegmentBytes);
    return segments_.used() + wanted > limit;
}

/// Returns true if moving live entries together would free so many sixteenths of the memory. Two segments do not count:
/// the open one, and one that entries are moved from.
bool CompressedPool::is_sparse(std::size_t sixteenths) const FAULTLINE_SIGNAL_SAFE {
    return segments_.live() + 2 * SegmentPool::kSegmentBytes <= live_bytes(sixteenths, segments_.used());
}

// ---- Entries

const CompressedPool::Entry& CompressedPool::entry_at(EntryAddress at) const noexcept {
    return *std::launder(reinterpret_cast<const Entry*>(segments_.address_of(at)));
}

std::span<const std::byte> CompressedPool::bytes_of(const Entry& entry) const noexcept {
    return {reinterpret_cast<const std::byte*>(&entry + 1), entry.bytes};
}

bool CompressedPool::decode(const Entry& entry, std::span<std::byte> into) const FAULTLINE_SIGNAL_SAFE {
    return is_sound(entry) && decompress(bytes_of(entry), into) &&
           checksum_of(into, seed_of(entry.slot)) == entry.checksum;
}

void CompressedPool::write_entry(const SegmentPool::Room& room, SlotNumber slot, std::span<const std::byte> block,
                                 std::span<const std::byte> compressed) FAULTLINE_SIGNAL_SAFE {
    std::memcpy(room.bytes() + sizeof(Entry), compressed.data(), compressed.size());
    new (room.bytes()) Entry{checksum_of(block, seed_of(slot)), slot, static_cast<std::uint16_t>(compressed.size()),
                             static_cast<std::uint16_t>(block.size() >> core::kUnitShift)};
    CompressedCounters::add(counters_.compressed_bytes, compressed.size());
    CompressedCounters::add(counters_.original_bytes, block.size());
}

bool CompressedPool::insert(SlotNumber slot, std::span<const std::byte> block,
                            std::span<const std::byte> compressed) FAULTLINE_SIGNAL_SAFE {
    const SegmentPool::Room room = make_room(sizeof(Entry) + compressed.size());
    if (!room) return false;
    write_entry(room, slot, block, compressed);
    CompressedCounters::add(counters_.inserts);
    slots_.table().store(slot, SlotWord::in_memory(room.entry()));
    return true;
}

void CompressedPool::insert_copy(SlotNumber slot, std::span<const std::byte> block,
                                 std::span<const std::byte> compressed) FAULTLINE_SIGNAL_SAFE {
    SlotWord seen = slots_.table().load(slot);
    if (!seen.matches(checksum_of(block, seed_of(slot)))) return;
    const SegmentPool::Room room = make_room(sizeof(Entry) + compressed.size());
    if (!room) return CompressedCounters::add(counters_.overflows);
    write_entry(room, slot, block, compressed);
    if (slots_.table().try_change(slot, seen, seen.copied_to(room.entry()))) {
        CompressedCounters::add(counters_.inserts);
    } else {
        kill_entry(room.entry());  // a thread that evicts the same bytes from another region was faster
    }
}

SegmentPool::Room CompressedPool::make_room(std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    SegmentPool::Room room = segments_.reserve(bytes);
    if (room) return room;
    const unsigned spiller = spillers_.try_take();
    if (spiller == sys::BufferSet::kNone)
        return room;  // other threads spill, and writing one block behind is faster than to wait for them
    SequentialWriteQueue queue;
    // Other threads may take the segments freed here, so try again; but not forever.
    for (int attempt = 0; attempt < 4 && !room && free_segment(spiller, queue).freed; ++attempt) {
        room = segments_.reserve(bytes);
    }
    spillers_.give_back(spiller);
    return room;
}

CompressedPool::Fetched CompressedPool::fetch(SlotNumber slot, SlotWord seen,
                                              std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
    std::uint64_t checksum = 0;
    const Fetched fetched = fetch_pinned(slot, seen, into, checksum);
    if (fetched == Fetched::changed) return fetched;
    CompressedCounters::add(fetched == Fetched::done ? counters_.hits : counters_.damaged);
    if (!seen.is(SlotPlace::both)) return fetched;
    drop_copy(slot, seen, checksum);
    return fetched == Fetched::done ? fetched : Fetched::changed;  // the file still has the bytes
}

/// Sets `checksum` to that of the entry, unless it returns `changed`.
CompressedPool::Fetched CompressedPool::fetch_pinned(SlotNumber slot, SlotWord seen, std::span<std::byte> into,
                                                     std::uint64_t& checksum) FAULTLINE_SIGNAL_SAFE {
    const EntryAddress at = seen.entry();
    const SegmentPool::Pin pin{segments_, at};
    if (!slots_.table().load(slot).in(at)) return Fetched::changed;
    const Entry& entry = entry_at(at);
    checksum = entry.checksum;
    return entry.slot == slot && decode(entry, into) ? Fetched::done : Fetched::damaged;
}

CompressedPool::Fetched CompressedPool::check(SlotNumber slot, SlotWord seen,
                                              std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE {
    const EntryAddress at = seen.entry();
    const SegmentPool::Pin pin{segments_, at};
    if (!slots_.table().load(slot).in(at)) return Fetched::changed;
    return entry_at(at).checksum == checksum_of(bytes, seed_of(slot)) ? Fetched::done : Fetched::damaged;
}

bool CompressedPool::drop_copy(SlotNumber slot, SlotWord seen, std::uint64_t checksum) FAULTLINE_SIGNAL_SAFE {
    if (!slots_.table().try_change(slot, seen, seen.copy_dropped(checksum))) return false;
    kill_entry(seen.entry());
    return true;
}

void CompressedPool::release(SlotNumber slot, std::uint32_t units) FAULTLINE_SIGNAL_SAFE {
    const SlotWord before = slots_.table().change(slot, [](SlotWord word) { return word.released(); });
    if (before.is(SlotPlace::spilling)) return;  // the thread that spills it frees the slots
    if (before.has_entry()) kill_entry(before.entry());
    slots_.allocator().free({slot, units});
}

/// Kills the entry at `at`. It still counts as live here, so its segment is not reused meanwhile.
void CompressedPool::kill_entry(EntryAddress at) FAULTLINE_SIGNAL_SAFE {
    const Entry entry = entry_at(at);
    if (!is_sound(entry)) return;  // memory was overwritten; the segment stays used
    CompressedCounters::subtract(counters_.compressed_bytes, entry.bytes);
    CompressedCounters::subtract(counters_.original_bytes, std::size_t{entry.units} << core::kUnitShift);
    segments_.kill(at, sizeof(Entry) + entry.bytes);
}

}  // namespace faultline::store
