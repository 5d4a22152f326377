#include "store/slot_writer.hpp"

#include "store/block_codec.hpp"
#include "store/page_checksum.hpp"
#include "store/swap_store.hpp"

#include <cerrno>

namespace faultline::store {

void SlotWriter::write(std::span<StoreWrite> writes, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    for (StoreWrite& one : writes) {
        SwapStore* const store = one.store->swap_store(one.offset);
        if (store == nullptr) {
            one.error = one.store->write(one.offset, one.bytes);
        } else if (store->shape().units > 1) {
            write_large(one, *store, queue);
        } else {
            write_small(one, *store, queue);
        }
    }
    flush(queue);
}

// ---- Pages of one slot

void SlotWriter::write_small(StoreWrite& write, SwapStore& store, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    write.error = 0;
    if (const SlotNumber slot = keep_small_in_memory(store, write.bytes); slot != kNoSlot) {
        store.move_page(store.page_at(write.offset), slot);
        return;
    }
    if (waiting_count_ == SlotWriterMemory::kMostParts) flush(queue);
    memory_.waiting[waiting_count_++] = {&write, &store, kNoSlot};
}

/// Keeps a page in memory. Returns its slot; kNoSlot if the page does not shrink or if there is no room. A page that
/// does not shrink takes no slot here, so the pages that go to the file get slots in a row.
SlotNumber SlotWriter::keep_small_in_memory(SwapStore& store, std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE {
    if (!store.worth_compressing()) return kNoSlot;
    const CompressorPool::Compressor compressor{space_.pool().compressors()};
    const std::span<const std::byte> compressed = store.compress(compressor, bytes);
    if (compressed.empty()) return kNoSlot;
    const SlotRun run = space_.allocator().allot(0, 1);
    if (run.count == 0) return kNoSlot;
    if (insert(run.first, bytes, compressed)) return run.first;
    space_.pool().release(run.first, 1);
    return kNoSlot;
}

/// Keeps a block, whose first slot is open, in memory. Returns false if it does not shrink or if there is no room.
bool SlotWriter::keep_in_memory(SwapStore& store, SlotNumber slot,
                                std::span<const std::byte> block) FAULTLINE_SIGNAL_SAFE {
    if (!store.worth_compressing()) return false;
    const CompressorPool::Compressor compressor{space_.pool().compressors()};
    const std::span<const std::byte> compressed = store.compress(compressor, block);
    return !compressed.empty() && insert(slot, block, compressed);
}

/// Puts a compressed block in memory. Returns false if there is no room.
bool SlotWriter::insert(SlotNumber slot, std::span<const std::byte> block,
                        std::span<const std::byte> compressed) FAULTLINE_SIGNAL_SAFE {
    if (space_.pool().insert(slot, block, compressed)) return true;
    CompressedCounters::add(space_.pool().counters().overflows);
    return false;
}

/// Writes the pages that wait, and gives them their new locations.
void SlotWriter::flush(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    if (waiting_count_ == 0) return;
    const std::size_t runs = allot_waiting();
    space_.slots().write({memory_.writes.data(), runs}, queue);
    std::size_t next = 0;
    for (std::size_t run = 0; run < runs; ++run) {
        for (std::size_t count = memory_.parts_of[run]; count > 0; --count) {
            const SlotWriterMemory::Waiting& waiting = memory_.waiting[next++];
            StoreWrite& one = *waiting.write;
            one.error = memory_.writes[run].error;
            if (one.error != 0) {
                space_.pool().release(waiting.slot, 1);
                continue;
            }
            space_.table().store(waiting.slot, SlotWord::in_file(checksum_of(one.bytes, seed_of(waiting.slot))));
            waiting.store->move_page(waiting.store->page_at(one.offset), waiting.slot);
        }
    }
    for (; next < waiting_count_; ++next) memory_.waiting[next].write->error = ENOSPC;
    waiting_count_ = 0;
}

/// Gives the waiting pages slots, and makes one write of each run of slots. Returns the writes; pages that get no slot
/// are in none.
std::size_t SlotWriter::allot_waiting() FAULTLINE_SIGNAL_SAFE {
    std::size_t runs = 0;
    for (std::size_t next = 0; next < waiting_count_;) {
        const SlotRun run = space_.allocator().allot(0, static_cast<std::uint32_t>(waiting_count_ - next));
        if (run.count == 0) break;
        if (!space_.pool().enabled()) space_.slots().prepare_write(run);
        const SlotTable& table = space_.table();
        memory_.writes[runs] = {
            &table.device_of(run.first), table.file_offset_of(run.first), {&memory_.parts[next], run.count}, 0};
        memory_.parts_of[runs++] = run.count;
        for (std::uint32_t i = 0; i < run.count; ++i, ++next) {
            memory_.waiting[next].slot = run.first + i;
            memory_.parts[next] = part_of(memory_.waiting[next].write->bytes);
        }
    }
    return runs;
}

iovec SlotWriter::part_of(std::span<const std::byte> bytes) noexcept {
    return {const_cast<std::byte*>(bytes.data()), bytes.size()};  // NOLINT: pwritev(2) does not write there
}

// ---- Larger pages

void SlotWriter::write_large(StoreWrite& write, SwapStore& store, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    flush(queue);  // uses the same arrays
    const PageShape shape = store.shape();
    const SlotRun page = space_.allocator().allot(shape.size_class(), 1);
    write.error = page.count == 0 ? ENOSPC : 0;
    if (write.error != 0) return;
    const std::size_t writes = keep_or_gather(page.first, shape, store, write.bytes);
    space_.slots().write({memory_.writes.data(), writes}, queue);
    for (std::size_t i = 0; i < writes; ++i) {
        if (memory_.writes[i].error != 0) write.error = memory_.writes[i].error;
    }
    for (std::uint32_t unit = 0; unit < shape.units; unit += shape.block_units) {
        const SlotNumber slot = page.first + unit;
        if (write.error != 0) {
            space_.pool().release(slot, shape.block_units);
        } else if (space_.table().load(slot).is(SlotPlace::open)) {
            const auto bytes = write.bytes.subspan(std::size_t{unit} << core::kUnitShift, shape.block_bytes());
            space_.table().store(slot, SlotWord::in_file(checksum_of(bytes, seed_of(slot))));
        }
    }
    if (write.error == 0) store.move_page(store.page_at(write.offset), page.first);
}

/// Keeps the blocks of a page in memory that shrink. Makes writes of the others, neighbours together. Returns the
/// writes.
std::size_t SlotWriter::keep_or_gather(SlotNumber first, PageShape shape, SwapStore& store,
                                       std::span<const std::byte> page) FAULTLINE_SIGNAL_SAFE {
    std::size_t writes = 0;
    std::uint32_t end = shape.units;  // the unit at which the last write ends
    for (std::uint32_t unit = 0; unit < shape.units; unit += shape.block_units) {
        const auto bytes = page.subspan(std::size_t{unit} << core::kUnitShift, shape.block_bytes());
        if (keep_in_memory(store, first + unit, bytes)) continue;
        if (unit == end) {
            memory_.parts[writes - 1].iov_len += bytes.size();
        } else {
            memory_.parts[writes] = part_of(bytes);
            const SlotTable& table = space_.table();
            memory_.writes[writes] = {
                &table.device_of(first), table.file_offset_of(first + unit), {&memory_.parts[writes], 1}, 0};
            ++writes;
        }
        end = unit + shape.block_units;
    }
    return writes;
}

}  // namespace faultline::store
