// SlotWriter: writes a batch of pages. Blocks that shrink go to the compressed memory; the others get slots in a row,
// in the order of the batch, and go to the swap file with one write, or a few. A page's old slots stay until its new
// ones have the bytes.
#pragma once

#include "core/signal_safe.hpp"
#include "store/backing_store.hpp"
#include "store/slot_space.hpp"
#include "store/write_queue.hpp"
#include "store/writer_pool.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::store {

/// Signal-safe. One thread writes one page at a time.
class SlotWriter {
public:
    /// Blocks while kWriters others write.
    explicit SlotWriter(SlotSpace& space) FAULTLINE_SIGNAL_SAFE : space_{space},
                                                                  number_{space.writers().take()},
                                                                  memory_{space.writers().memory_of(number_)} {}
    ~SlotWriter() { space_.writers().give_back(number_); }
    SlotWriter(const SlotWriter&) = delete;
    SlotWriter& operator=(const SlotWriter&) = delete;

    /// Writes pages of SwapStores of the space; sets the error of each. ENOSPC: no slot or no space on the disk is
    /// free.
    void write(std::span<StoreWrite> writes, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

private:
    void write_small(StoreWrite& write, SwapStore& store, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    void write_large(StoreWrite& write, SwapStore& store, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool insert(SlotNumber slot, std::span<const std::byte> block,
                              std::span<const std::byte> compressed) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool keep_in_memory(SwapStore& store, SlotNumber slot,
                                      std::span<const std::byte> block) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] SlotNumber keep_small_in_memory(SwapStore& store,
                                                  std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE;
    void flush(WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::size_t allot_waiting() FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::size_t keep_or_gather(SlotNumber first, PageShape shape, SwapStore& store,
                                             std::span<const std::byte> page) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] static iovec part_of(std::span<const std::byte> bytes) noexcept;

    SlotSpace& space_;
    unsigned number_;
    SlotWriterMemory& memory_;
    std::size_t waiting_count_ = 0;
};

}  // namespace faultline::store
