// AsyncReader: reads pages while no thread of the program sleeps for it: for fault handler threads, which serve other
// faults meanwhile, and for prefetches. One thread of the pager, the reader thread, finishes the reads.
//
// clang-format off
//   handler thread:  begin(fill) -> io_uring          reader thread:  completion -> PageFill::finish -> page mapped
//   any thread:      prefetch(request) -> list        reader thread:  list -> PrefetchStarter -> queue(fill)
// clang-format on
//
// ReadAhead chooses the pages, and PageFill handles reads that fail. The pages of a fill are owned (filling) from
// before `begin` until PageFill::finish has published them. Until then their region cannot be destroyed.
#pragma once

#include "core/page_fault.hpp"
#include "core/page_range.hpp"
#include "core/record_memory.hpp"
#include "core/signal_safe.hpp"
#include "pager/fault/page_fill.hpp"
#include "sys/buffer_set.hpp"
#include "sys/file_descriptor.hpp"
#include "sys/futex_lock.hpp"
#include "sys/io_ring.hpp"
#include "sys/service_thread.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

namespace faultline::pager {

/// Stored pages of a region that are to be read in the background.
struct PrefetchRequest {
    std::uint32_t region = 0;  ///< Its id in RegionDirectory; the region may be gone, and another may have its id.
    core::PageRange pages{};
    bool for_writing = false;  ///< See PageFill.
};

/// Begins prefetches, on the reader thread.
class PrefetchStarter {
public:
    /// Claims pages of the request and queues their reads (AsyncReader::queue), or reads them at once. The caller is a
    /// reader of RegionMap::readers().
    virtual void begin_prefetch(const PrefetchRequest& request) noexcept = 0;

protected:
    ~PrefetchStarter() = default;
};

class AsyncReader {
public:
    /// Reads in flight at most; each has a buffer of BufferPool::kBufferBytes. Fewer under a memory limit, if there is
    /// no memory for more buffers.
    static constexpr unsigned kDepth = 64;

    /// True while it lives if no other read is in flight: then a synchronous read is cheaper for a handler thread.
    /// Handing a read over and waking the reader thread takes longer than anything else but the read, and other
    /// handlers serve other faults meanwhile. Always false where there is but one handler. Signal-safe.
    class Alone {
    public:
        explicit Alone(AsyncReader& reader) FAULTLINE_SIGNAL_SAFE
            : reader_{reader},
              holds_{reader.handlers_ > 1 && reader.buffers_.slots().held() == 0 && !reader.sync_read_.exchange(true)} {
        }
        ~Alone() {
            if (holds_) reader_.sync_read_.store(false);
        }
        Alone(const Alone&) = delete;
        Alone& operator=(const Alone&) = delete;
        explicit operator bool() const noexcept { return holds_; }

    private:
        AsyncReader& reader_;
        bool holds_;
    };

    /// The depth of the ring for `start`.
    static constexpr unsigned kRingDepth = 1024;

    /// `handlers`: how many threads begin reads for faults. `ring`: of kRingDepth. Returns null if `ring` is empty,
    /// because the kernel refuses io_uring. A read that takes longer than `patience` ends the process: the faulting
    /// threads would wait for ever. `records`: counts the buffers. Throws std::system_error when the thread cannot be
    /// started.
    [[nodiscard]] static std::unique_ptr<AsyncReader> start(PrefetchStarter& starter, unsigned handlers,
                                                            std::chrono::nanoseconds patience,
                                                            core::RecordMemory& records, sys::IoRing ring);

    AsyncReader(PrefetchStarter& starter, unsigned handlers, sys::IoRing ring, sys::FileDescriptor bell,
                std::chrono::nanoseconds patience, core::RecordMemory& records);
    /// Joins the thread. No read is in flight.
    ~AsyncReader();
    AsyncReader(const AsyncReader&) = delete;
    AsyncReader& operator=(const AsyncReader&) = delete;

    /// Begins to read the pages of `fill` and takes the fill over. Finishes it at once if no file is to be read.
    /// Returns false, with `fill` untouched, if the pages do not fit a buffer, too many reads are in flight, or the
    /// store fails: then the caller reads. Signal-safe.
    [[nodiscard]] bool begin(PageFill& fill) FAULTLINE_SIGNAL_SAFE;

    /// Like `begin`, but the device starts at `submit` only: many reads at once cost it and the CPU less. Signal-safe.
    [[nodiscard]] bool queue(PageFill& fill) FAULTLINE_SIGNAL_SAFE;
    void submit() FAULTLINE_SIGNAL_SAFE;

    /// Puts a request on the list of prefetches. The reader thread begins it as soon as few reads are in flight.
    /// Returns false if the list is full. Signal-safe; the caller has signals blocked.
    [[nodiscard]] bool prefetch(const PrefetchRequest& request) FAULTLINE_SIGNAL_SAFE;

    /// Blocks until the reads of all requests that were made before the call have begun, or were abandoned.
    void wait_until_begun() noexcept;

    /// Drops all requests and blocks until no read is in flight. The caller makes sure that no new one begins.
    void drain() noexcept;

    /// In a child of fork, which has neither the thread nor the buffers: counts them no more. The reader itself leaks.
    void forget_in_child() noexcept { buffers_.forget(); }

private:
    struct Slot;
    /// One read in flight.
    struct Part {
        Slot* slot = nullptr;
        std::size_t bytes = 0;
    };
    struct Slot {
        std::optional<PageFill> fill;
        std::array<Part, store::ReadPlan::kMostReads> parts;
        std::size_t parts_left = 0;           // in flight; for the reader thread
        bool short_read = false;              // of a part; for the reader thread
        std::atomic<std::uint64_t> began{0};  // nanoseconds of the steady clock; 0: not yet, or no more
    };

    /// Parts of all fills in flight at most.
    static constexpr unsigned kMostParts = kRingDepth / 2;
    /// Slots that prefetches leave to faults.
    static constexpr unsigned kForFaults = 4;
    /// With more reads in flight, prefetches wait until several can begin together.
    static constexpr unsigned kEnoughInFlight = kDepth / 2;
    static constexpr std::size_t kMostRequests = 4096;

    [[nodiscard]] bool reserve_parts(std::uint32_t parts) FAULTLINE_SIGNAL_SAFE;
    void begin_parts(unsigned index, PageFill& fill, const store::ReadPlan& plan) FAULTLINE_SIGNAL_SAFE;
    void wake() FAULTLINE_SIGNAL_SAFE;
    void await_wake_up() noexcept;
    void begin_prefetches() noexcept;
    [[nodiscard]] bool take_request(PrefetchRequest& next) noexcept;
    [[nodiscard]] std::span<std::byte> buffer(unsigned index, std::size_t bytes) const noexcept;
    void run() noexcept;
    /// Returns false when the thread is to end.
    [[nodiscard]] bool take(const sys::IoRing::Completion& completion) noexcept;
    void finish_part(const Part& part, long result) noexcept;
    void finish(unsigned index) noexcept;
    void check_patience() const noexcept;

    PrefetchStarter& starter_;
    unsigned handlers_;
    std::chrono::nanoseconds patience_;
    std::array<Slot, kDepth> slots_;
    sys::BufferSet buffers_;  // one for each read in flight
    std::atomic<std::uint32_t> parts_in_flight_{0};
    std::atomic<bool> sync_read_{false};  // an Alone holds
    sys::FutexLock submitting_;           // one thread at a time queues and submits
    sys::IoRing ring_;

    sys::FutexLock requesting_;  // guards the list: a ring of `request_count_` entries from `first_request_` on
    std::unique_ptr<PrefetchRequest[]> requests_ = std::make_unique<PrefetchRequest[]>(kMostRequests);
    std::size_t first_request_ = 0;
    std::size_t request_count_ = 0;
    std::atomic<std::uint32_t> requests_left_{0};  // on the list, or just being begun; a futex

    // An eventfd that the reader thread reads through the ring: writing to it wakes the thread. Were a thread of the
    // program to submit to the ring itself, the kernel would interrupt that thread's system calls later.
    sys::FileDescriptor bell_;
    std::uint64_t rings_ = 0;         // read from it
    std::atomic<bool> woken_{false};  // a wake-up is on its way
    std::atomic<bool> stopping_{false};

    sys::ServiceThread thread_;  // last: joined before the rest goes
};

}  // namespace faultline::pager
