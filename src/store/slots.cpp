#include "store/slots.hpp"

#include "core/units.hpp"

#include <array>
#include <cerrno>

namespace faultline::store {

void Slots::write(std::span<FileWrite> writes, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    queue.write(writes);
    for (FileWrite& one : writes) {
        while ((one.error == ENOSPC || one.error == EDQUOT) && punch_any()) {
            one.error = one.device->write(one.offset, one.parts);
        }
    }
}

void Slots::prepare_write(SlotRun run) FAULTLINE_SIGNAL_SAFE {
    constexpr std::uint32_t kBefore = 32;  // slots of a chunk that are written first: a small program needs no more
    const std::uint32_t first = run.first % SlotChunk::kSlots;
    if (first + run.count <= kBefore) return;
    const SlotShelf& shelf = table_.shelf_of(run.first);
    if (!shelf.preallocated.set(SlotTable::index_of(run.first) / SlotChunk::kSlots)) return;
    shelf.device->allocate(table_.file_offset_of(run.first),
                           std::uint64_t{SlotChunk::kSlots - first} << core::kUnitShift);
}

bool Slots::punch_some() FAULTLINE_SIGNAL_SAFE {
    return allocator_.worth_punching() && punch(allocator_.too_much_waste());
}

bool Slots::punch(bool also_partial) FAULTLINE_SIGNAL_SAFE {
    const SlotAllocator::Piece piece = allocator_.begin_punching(also_partial);
    if (!piece) return false;
    const SlotNumber first = piece.slots.first;
    for (SlotRun run = allocator_.next_to_punch(piece, first); run.count > 0;
         run = allocator_.next_to_punch(piece, run.first + run.count)) {
        table_.device_of(run.first).punch(table_.file_offset_of(run.first),
                                          std::uint64_t{run.count} << core::kUnitShift);
        allocator_.punched(run);
        forget_allocation(run);
    }
    allocator_.end_punching(piece);
    return true;
}

void Slots::give_back_preallocated() noexcept {
    table_.for_each([this](std::uint32_t number, const SlotShelf& shelf) {
        if (shelf.frozen) return;
        const sys::AtomicBits& chunks = shelf.preallocated;
        for (std::uint64_t chunk = chunks.next_set(0, chunks.size()); chunk < chunks.size();
             chunk = chunks.next_set(chunk + 1, chunks.size())) {
            give_back_rest((number << SlotShelf::kShift) + static_cast<SlotNumber>(chunk) * SlotChunk::kSlots);
        }
    });
}

/// Gives back the never used slots of the chunk that begins with `first`.
void Slots::give_back_rest(SlotNumber first) noexcept {
    const SlotNumber last = first + SlotChunk::kSlots - 1;
    SlotRun run = allocator_.next_never_used(first);
    while (run.count > 0) {
        table_.device_of(first).punch(table_.file_offset_of(run.first), std::uint64_t{run.count} << core::kUnitShift);
        forget_allocation(run);
        const SlotNumber next = run.first + run.count;
        run = next <= last ? allocator_.next_never_used(next) : SlotRun{};
    }
}

/// The chunks of a run that was punched are allocated anew before they are written to.
void Slots::forget_allocation(SlotRun run) FAULTLINE_SIGNAL_SAFE {
    const std::uint32_t first = SlotTable::index_of(run.first) / SlotChunk::kSlots;
    const std::uint32_t last = SlotTable::index_of(run.first + run.count - 1) / SlotChunk::kSlots;
    table_.shelf_of(run.first).preallocated.clear(first, last - first + 1);
}

}  // namespace faultline::store
