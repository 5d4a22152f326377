// Slots: the swap slots of one pager: their table, what is free, and their bytes in the swap files. It frees blocks of
// the file system when there is a lot of free space in the files, or when a disk is full.
#pragma once

#include "core/signal_safe.hpp"
#include "store/slot_allocator.hpp"
#include "store/slot_table.hpp"
#include "store/write_queue.hpp"

#include <span>

namespace faultline::store {

/// Thread-safe and signal-safe. Callers outside a fault keep all signals blocked.
class Slots {
public:
    [[nodiscard]] SlotTable& table() noexcept { return table_; }
    [[nodiscard]] const SlotTable& table() const noexcept { return table_; }
    [[nodiscard]] SlotAllocator& allocator() noexcept { return allocator_; }
    [[nodiscard]] const SlotAllocator& allocator() const noexcept { return allocator_; }

    /// Writes runs of slots with `queue`. A write that finds the disk full is repeated after free space was given back
    /// to the file system, as long as there is any.
    void write(std::span<FileWrite> writes, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Allocates the blocks of the rest of the run's chunk in the file system, once a sixteenth of it is written. A
    /// file system writes into allocated blocks while others read; for a write into a hole it keeps readers out (ext4
    /// takes the inode's lock). Ignores a refusal: the write then gets the error.
    void prepare_write(SlotRun run) FAULTLINE_SIGNAL_SAFE;

    /// Gives one piece of free space back, if that is worth it. Returns false if not.
    bool punch_some() FAULTLINE_SIGNAL_SAFE;
    /// The same, worth it or not. Returns false if there is no free space.
    bool punch_any() FAULTLINE_SIGNAL_SAFE { return punch(true); }

    /// Gives back the blocks that were allocated ahead and not used. Control path, while nothing else uses the slots.
    void give_back_preallocated() noexcept;

private:
    bool punch(bool also_partial) FAULTLINE_SIGNAL_SAFE;
    void give_back_rest(SlotNumber first) noexcept;
    void forget_allocation(SlotRun run) FAULTLINE_SIGNAL_SAFE;

    SlotTable table_;
    SlotAllocator allocator_{table_};
};

}  // namespace faultline::store
