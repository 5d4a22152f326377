// WriteQueue: writes a batch of runs to devices, either one after the other or all at once through io_uring. It
// chooses no slots and changes none. SwapSpace writes pages with it, CompressedPool spills; a faulting thread that must
// evict uses SequentialWriteQueue.
#pragma once

#include "core/signal_safe.hpp"
#include "store/slot_device.hpp"
#include "sys/io_ring.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

namespace faultline::store {

/// One contiguous write of parts of memory, whose sizes are multiples of 4 KiB; at most 1024 parts. The queue sets
/// `error` to 0 or an errno.
struct FileWrite {
    const SlotDevice* device = nullptr;
    std::uint64_t offset = 0;
    std::span<const iovec> parts{};
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
    virtual void write(std::span<FileWrite> writes) FAULTLINE_SIGNAL_SAFE = 0;
};

/// Writes one after the other on the calling thread, or as the device does it. Signal-safe: a faulting thread uses it
/// when it must evict.
class SequentialWriteQueue final : public WriteQueue {
public:
    void write(std::span<FileWrite> writes) FAULTLINE_SIGNAL_SAFE override;
};

/// Writes all at once through io_uring; used by one of the pager's own threads. Not signal-safe, not thread-safe.
/// Writes that the ring leaves short or refuses are written again sequentially.
class RingWriteQueue final : public WriteQueue {
public:
    static constexpr unsigned kDepth = 16;
    static constexpr unsigned kCalmDepth = 2;

    /// Returns null if the kernel or the administrator does not allow io_uring.
    static std::unique_ptr<WriteQueue> create();

    explicit RingWriteQueue(sys::IoRing ring) noexcept : ring_{std::move(ring)} {}
    void set_pace(Pace pace) FAULTLINE_SIGNAL_SAFE override { depth_ = pace == Pace::calm ? kCalmDepth : kDepth; }
    void write(std::span<FileWrite> writes) FAULTLINE_SIGNAL_SAFE override;

private:
    void write_at_once(std::span<FileWrite> writes);
    std::size_t submit_some(std::span<FileWrite> writes);
    long collect_one();

    sys::IoRing ring_;
    unsigned depth_ = kDepth;
    unsigned in_flight_ = 0;
};

/// Returns a RingWriteQueue, or a SequentialWriteQueue where there is no io_uring.
std::unique_ptr<WriteQueue> fastest_write_queue();
/// The same over `ring`, of RingWriteQueue::kDepth; it is empty where there is no io_uring.
std::unique_ptr<WriteQueue> fastest_write_queue(sys::IoRing ring);

}  // namespace faultline::store
