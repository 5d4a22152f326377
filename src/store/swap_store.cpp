#include "store/swap_store.hpp"

#include "core/check.hpp"
#include "store/page_checksum.hpp"
#include "store/read_plan.hpp"
#include "store/read_rings.hpp"
#include "store/slot_writer.hpp"
#include "sys/signal_block.hpp"

#include <cerrno>
#include <cstring>

namespace faultline::store {
namespace {

// After kHopelessAfter blocks in a row that did not shrink, only one in kTryOneIn is tried.
constexpr std::uint32_t kHopelessAfter = 8;
constexpr std::uint32_t kTryOneIn = 16;

}  // namespace

SwapStore::~SwapStore() {
    const sys::SignalBlock no_signals;  // the locks of the slots belong to the fault path
    for_each_page([this](std::uint64_t, SlotNumber first) { space_.release(first, shape_); });
}

void SwapStore::move_page(std::uint64_t page, SlotNumber first) FAULTLINE_SIGNAL_SAFE {
    std::atomic<SlotNumber>& location = locations_[page];
    // Loaded first, so that a table that is still zeros takes no memory.
    if (first == kNoSlot && location.load(std::memory_order_relaxed) == kNoSlot) return;
    locations_.mark(page);
    const SlotNumber before = location.exchange(first, std::memory_order_acq_rel);
    if (before != kNoSlot) space_.release(before, shape_);
}

// ---- Reading

/// Calls `visit(slot, bytes)` for each block of the reads until it returns an error. `slot` is kNoSlot for a page
/// without bytes.
template <typename Visit>
int SwapStore::for_each_block(std::span<const StoreRead> reads, Visit visit) const FAULTLINE_SIGNAL_SAFE {
    const std::size_t block_bytes = shape_.block_bytes();
    for (const StoreRead& one : reads) {
        FAULTLINE_REQUIRE(one.offset % block_bytes == 0 && one.into.size() % block_bytes == 0,
                          "an offset or size in a swap store is not a multiple of its block size");
        for (std::size_t done = 0; done < one.into.size(); done += block_bytes) {
            if (const int error = visit(slot_at(one.offset + done), one.into.subspan(done, block_bytes))) return error;
        }
    }
    return 0;
}

SlotNumber SwapStore::slot_at(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    const SlotNumber first = location_of(page_at(offset));
    if (first == kNoSlot) return kNoSlot;
    return first + (static_cast<std::uint32_t>(offset >> core::kUnitShift) & (shape_.units - 1));
}

int SwapStore::plan_read(std::span<const StoreRead> reads, ReadPlan& plan) FAULTLINE_SIGNAL_SAFE {
    return for_each_block(reads,
                          [&](SlotNumber slot, std::span<std::byte> into) { return plan_block(slot, into, plan); });
}

int SwapStore::plan_block(SlotNumber slot, std::span<std::byte> into, ReadPlan& plan) FAULTLINE_SIGNAL_SAFE {
    const SlotTable& table = space_.table();
    // Repeats only if the block is moved or spilled meanwhile.
    for (SlotWord seen = slot == kNoSlot ? SlotWord{} : table.load(slot);; seen = table.load(slot)) {
        if (seen.is(SlotPlace::file)) {
            CompressedCounters::add(space_.pool().counters().misses);
            plan.add(table.device_of(slot), table.file_offset_of(slot), into);
            return 0;
        }
        if (!seen.has_entry()) {
            std::memset(into.data(), 0, into.size());  // no bytes: no caller uses these
            return seen.is(SlotPlace::lost) ? EIO : 0;
        }
        const CompressedPool::Fetched fetched = space_.pool().fetch(slot, seen, into);
        if (fetched == CompressedPool::Fetched::done) return 0;
        if (fetched == CompressedPool::Fetched::damaged) return EIO;
    }
}

int SwapStore::check_read(std::span<const StoreRead> reads) FAULTLINE_SIGNAL_SAFE {
    return for_each_block(reads, [&](SlotNumber slot, std::span<std::byte> bytes) {
        if (slot == kNoSlot || is_as_written(slot, bytes)) return 0;
        CompressedCounters::add(space_.pool().counters().damaged);
        return EIO;
    });
}

/// Returns true if `bytes` are those that the file should have. Blocks that only memory has were checked when they were
/// decompressed.
bool SwapStore::is_as_written(SlotNumber slot, std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE {
    for (;;) {  // repeats only if a copy of the block is made, moved or dropped meanwhile
        const SlotWord word = space_.table().load(slot);
        if (word.is(SlotPlace::file)) return word.matches(checksum_of(bytes, seed_of(slot)));
        if (!word.is(SlotPlace::both)) return true;
        const CompressedPool::Fetched checked = space_.pool().check(slot, word, bytes);
        if (checked != CompressedPool::Fetched::changed) return checked == CompressedPool::Fetched::done;
    }
}

int SwapStore::read_pages(std::span<const StoreRead> reads, DuringRead* meanwhile) FAULTLINE_SIGNAL_SAFE {
    return read_by_plan(*this, reads, meanwhile);
}

int SwapStore::read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
    return read_in_pieces(*this, offset, into);
}

// ---- Writing

int SwapStore::write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE {
    SequentialWriteQueue queue;
    const std::size_t page_bytes = std::size_t{shape_.units} << core::kUnitShift;
    for (std::size_t done = 0; done < from.size(); done += page_bytes) {
        StoreWrite one{this, offset + done, from.subspan(done, page_bytes), 0};
        SlotWriter{space_}.write({&one, 1}, queue);
        if (one.error != 0) return one.error;
    }
    return 0;
}

bool SwapStore::worth_compressing() FAULTLINE_SIGNAL_SAFE {
    if (!space_.pool().enabled()) return false;
    const std::uint32_t rejected = rejected_in_a_row_.load(std::memory_order_relaxed);
    if (rejected < kHopelessAfter || rejected % kTryOneIn == kHopelessAfter) return true;
    rejected_in_a_row_.fetch_add(1, std::memory_order_relaxed);
    CompressedCounters::add(space_.pool().counters().rejections);
    return false;
}

std::span<const std::byte> SwapStore::compress(const CompressorPool::Compressor& compressor,
                                               std::span<const std::byte> block) FAULTLINE_SIGNAL_SAFE {
    const std::span<const std::byte> compressed = compressor.compress(block);
    if (compressed.empty()) {
        rejected_in_a_row_.fetch_add(1, std::memory_order_relaxed);
        CompressedCounters::add(space_.pool().counters().rejections);
    } else if (rejected_in_a_row_.load(std::memory_order_relaxed) != 0) {
        rejected_in_a_row_.store(0, std::memory_order_relaxed);
    }
    return compressed;
}

// ---- Copies

bool SwapStore::wants_copy(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    if (!space_.pool().enabled()) return false;
    const SlotNumber first = location_of(page_at(offset));
    return first != kNoSlot && space_.table().load(first).is(SlotPlace::file);
}

void SwapStore::keep_copy(std::uint64_t offset, std::span<const std::byte> page) FAULTLINE_SIGNAL_SAFE {
    const SlotNumber first = location_of(page_at(offset));
    if (first == kNoSlot) return;
    const std::size_t block_bytes = shape_.block_bytes();
    for (std::size_t done = 0; done < page.size(); done += block_bytes) {
        keep_copy_of_block(first + static_cast<SlotNumber>(done >> core::kUnitShift), page.subspan(done, block_bytes));
    }
}

void SwapStore::keep_copy_of_block(SlotNumber slot, std::span<const std::byte> block) FAULTLINE_SIGNAL_SAFE {
    if (!space_.table().load(slot).is(SlotPlace::file) || !worth_compressing()) return;
    const CompressorPool::Compressor compressor{space_.pool().compressors()};
    const std::span<const std::byte> compressed = compress(compressor, block);
    if (!compressed.empty()) space_.pool().insert_copy(slot, block, compressed);
}

// ---- Discarding and sharing

void SwapStore::discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    const std::uint64_t end = page_at(offset + bytes);
    for (std::uint64_t page = locations_.next_marked(page_at(offset), end); page < end;
         page = locations_.next_marked(page + 1, end)) {
        move_page(page, kNoSlot);
    }
}

void SwapStore::share_pages_of(const SwapStore& other) {
    other.for_each_page([this](std::uint64_t page, SlotNumber first) {
        space_.table().add_user(first);
        move_page(page, first);
    });
}

Whereabouts SwapStore::whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    const SlotNumber first = location_of(page_at(offset));
    if (first == kNoSlot) return {};
    const SlotNumber slot = slot_at(offset);
    const SlotTable& table = space_.table();
    const SlotWord word = table.load(slot & ~(shape_.block_units - 1));
    if (word.is(SlotPlace::lost)) return {};
    const bool shared = table.users(first) > 1;
    if (word.has_entry()) return {Whereabouts::Place::compressed, 0, shared};
    return {Whereabouts::Place::swap_file, table.file_offset_of(slot), shared};
}

SharedBytes SwapStore::shared_bytes(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    const SlotNumber first = location_of(page_at(offset));
    if (first == kNoSlot || shape_.units > 1 || space_.table().users(first) < 2) return {};
    return {&space_.table().note(first), nullptr, first};
}

}  // namespace faultline::store
