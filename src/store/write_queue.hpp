// WriteQueue: writes a batch of runs to stores, either one after the other or all at once through io_uring. It does not
// choose the pages and changes no page state. The pager's evictor and CompressedPool's spill call it; a faulting thread
// that must evict uses SequentialWriteQueue.
#pragma once

#include "core/signal_safe.hpp"
#include "store/backing_store.hpp"
#include "sys/io_ring.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace faultline::store {

/// One contiguous write. The queue sets `error` to 0 or an errno.
struct StoreWrite {
    BackingStore* store = nullptr;
    std::uint64_t offset = 0;
    std::span<const std::byte> bytes{};
    int error = 0;
};

/// How much a batch may load the device.
enum class Pace : std::uint8_t {
    calm,     ///< Leaves the device to the reads of faults: a few writes in flight.
    hurried,  ///< Faults wait for frames, and so for these writes.
};

class WriteQueue {
public:
    virtual ~WriteQueue() = default;
    /// Sets the pace of the following batches.
    virtual void set_pace(Pace) FAULTLINE_SIGNAL_SAFE {}
    /// Returns when every write has ended. Each has its own result.
    virtual void write(std::span<StoreWrite> writes) FAULTLINE_SIGNAL_SAFE = 0;
};

/// Writes one after the other on the calling thread. Signal-safe: a faulting thread uses it when it must evict.
class SequentialWriteQueue final : public WriteQueue {
public:
    void write(std::span<StoreWrite> writes) FAULTLINE_SIGNAL_SAFE override;
};

/// Writes all at once through io_uring; used by one of the pager's own threads. Not signal-safe, not thread-safe.
/// Writes that the ring leaves short or refuses are finished sequentially, so the results are those of the store.
class RingWriteQueue final : public WriteQueue {
public:
    static constexpr unsigned kDepth = 16;
    static constexpr unsigned kCalmDepth = 2;

    /// Returns null if the kernel or the administrator does not allow io_uring.
    static std::unique_ptr<WriteQueue> create();

    explicit RingWriteQueue(sys::IoRing ring) noexcept : ring_{std::move(ring)} {}
    void set_pace(Pace pace) FAULTLINE_SIGNAL_SAFE override { depth_ = pace == Pace::calm ? kCalmDepth : kDepth; }
    void write(std::span<StoreWrite> writes) FAULTLINE_SIGNAL_SAFE override;

private:
    std::size_t submit_some(std::span<StoreWrite> writes);
    void collect_one();

    sys::IoRing ring_;
    unsigned depth_ = kDepth;
    unsigned in_flight_ = 0;
};

/// Returns a RingWriteQueue, or a SequentialWriteQueue where there is no io_uring.
std::unique_ptr<WriteQueue> fastest_write_queue();

}  // namespace faultline::store
