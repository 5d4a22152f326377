// Writing a batch of runs to stores: one after the other, or all in flight at once.
#pragma once

#include "core/signal_safe.hpp"
#include "store/backing_store.hpp"
#include "sys/io_ring.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace faultline::store {

/// One contiguous write. `error` is the result.
struct StoreWrite {
    BackingStore* store = nullptr;
    std::uint64_t offset = 0;
    std::span<const std::byte> bytes{};
    int error = 0;
};

/// How hard a batch may press on the device.
enum class Pace : std::uint8_t {
    calm,     ///< Leave the device to the faults' reads: a few writes in flight.
    hurried,  ///< Faults wait for frames, and so for these writes.
};

class WriteQueue {
public:
    virtual ~WriteQueue() = default;
    /// For the batches that follow.
    virtual void set_pace(Pace) FAULTLINE_SIGNAL_SAFE {}
    /// Returns when every write has ended, each with its own result.
    virtual void write(std::span<StoreWrite> writes) FAULTLINE_SIGNAL_SAFE = 0;
};

/// One after the other, on the calling thread. Signal-safe: what a faulting thread uses when it must evict for itself.
class SequentialWriteQueue final : public WriteQueue {
public:
    void write(std::span<StoreWrite> writes) FAULTLINE_SIGNAL_SAFE override;
};

/// All at once through io_uring, for one thread of the pager's own. Not signal-safe, not thread-safe. What the ring
/// leaves short or refuses is finished sequentially, so its results are the store's.
class RingWriteQueue final : public WriteQueue {
public:
    static constexpr unsigned kDepth = 16;
    static constexpr unsigned kCalmDepth = 2;

    /// Null where the kernel or the administrator does not allow io_uring.
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

/// Through the ring where there is one.
std::unique_ptr<WriteQueue> fastest_write_queue();

}  // namespace faultline::store
