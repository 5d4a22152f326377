// WriterPool: the working memory of a pager's SlotWriters. A faulting thread's stack may be too small for it. SlotSpace
// owns the pool; SlotWriter takes a memory for the time of one batch.
#pragma once

#include "core/record_memory.hpp"
#include "core/signal_safe.hpp"
#include "store/slot_word.hpp"
#include "store/write_queue.hpp"
#include "sys/buffer_set.hpp"

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::store {

class SwapStore;
struct StoreWrite;

/// The working memory of one SlotWriter.
struct SlotWriterMemory {
    static constexpr std::size_t kMostParts = 64;

    /// A page that goes to the file.
    struct Waiting {
        StoreWrite* write;
        SwapStore* store;
        SlotNumber slot;
    };

    std::array<Waiting, kMostParts> waiting;
    std::array<iovec, kMostParts> parts;
    std::array<FileWrite, kMostParts> writes;
    std::array<std::uint32_t, kMostParts> parts_of;  // each write
};

/// Thread-safe, signal-safe except construction.
class WriterPool {
public:
    static constexpr unsigned kWriters = 16;

    /// `records`: see sys::BufferSet. Throws std::system_error (ENOMEM).
    explicit WriterPool(core::RecordMemory* records);

    /// Returns the number of a free memory; blocks while all are in use.
    [[nodiscard]] unsigned take() FAULTLINE_SIGNAL_SAFE { return buffers_.take(); }
    void give_back(unsigned number) FAULTLINE_SIGNAL_SAFE { buffers_.give_back(number); }
    [[nodiscard]] SlotWriterMemory& memory_of(unsigned number) const FAULTLINE_SIGNAL_SAFE;

private:
    sys::BufferSet buffers_;
};

}  // namespace faultline::store
