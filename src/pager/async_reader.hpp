// AsyncReader: reads that nobody sleeps in: those that a fault handler thread begins, so that it serves other faults
// meanwhile, and those of pages that the program says it will need. One thread of the pager's own maps what has been
// read. It decides nothing: which pages, and what becomes of a read that failed, is the pager's business.
//
// clang-format off
//   handler thread:  begin(fill) -> io_uring      reader thread:  completion -> Pager::finish_fill -> page mapped
//   control call:    want(pages) -> list          reader thread:  list -> Pager::begin_wanted -> begin(fill)
// clang-format on
//
// The pages of a fill are owned (filling) from before begin() until finish_fill has published them: their region cannot
// go, and nobody else touches them.
#pragma once

#include "core/page_fault.hpp"
#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "pager/frame_budget.hpp"
#include "pager/page_window.hpp"
#include "policy/replacement_policy.hpp"
#include "sys/file_descriptor.hpp"
#include "sys/futex_lock.hpp"
#include "sys/io_ring.hpp"
#include "sys/mapping.hpp"
#include "sys/service_thread.hpp"
#include "sys/slot_pool.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

namespace faultline::detail {

class Pager;
class Region;

/// Pages that one read brings in, and what is to be known of the fault that asked for the first of them.
struct Fill {
    Region* region = nullptr;
    PageWindow window{};
    core::PageFault fault{};
    policy::Arrival arrival{};
    FrameReservation frames{};
    std::uint64_t started = 0;  // ticks
    bool asked_for = true;      // by a fault; else all pages come ahead of one
    bool for_writing = false;   // what comes ahead will be written to
    std::uint64_t page = 0;     // that was asked for
};

class AsyncReader {
public:
    /// Reads in flight at most; each has a buffer of `kBufferBytes` (BufferPool), touched when first used.
    static constexpr unsigned kDepth = 64;

    /// Whether the caller, a handler thread, is the only one that reads, as long as this lives. Then it had better read
    /// for itself: handing the read over and waking the reader thread takes longer than anything else but the read, and
    /// other handlers serve other faults meanwhile. Where there is but one handler, nobody is alone. Signal-safe.
    class Alone {
    public:
        explicit Alone(AsyncReader& reader) FAULTLINE_SIGNAL_SAFE
            : reader_{reader},
              holds_{reader.handlers_ > 1 && reader.in_flight_.held() == 0 && !reader.somebody_reads_.exchange(true)} {}
        ~Alone() {
            if (holds_) reader_.somebody_reads_.store(false);
        }
        Alone(const Alone&) = delete;
        Alone& operator=(const Alone&) = delete;
        explicit operator bool() const noexcept { return holds_; }

    private:
        AsyncReader& reader_;
        bool holds_;
    };

    /// `handlers`: how many threads begin reads for faults. Null where io_uring is not to be had. A read that takes
    /// longer than `patience` ends the process: those who faulted would wait for ever. Throws std::system_error when
    /// the thread cannot be started.
    [[nodiscard]] static std::unique_ptr<AsyncReader> start(Pager& pager, unsigned handlers,
                                                            std::chrono::nanoseconds patience);

    AsyncReader(Pager& pager, unsigned handlers, sys::IoRing ring, sys::FileDescriptor bell,
                std::chrono::nanoseconds patience);
    /// Nothing may be in flight.
    ~AsyncReader();
    AsyncReader(const AsyncReader&) = delete;
    AsyncReader& operator=(const AsyncReader&) = delete;

    /// Begins to read the window of `fill`, which must fit a buffer, and takes it over. False, with `fill` untouched,
    /// where it cannot be read so or as many reads as may be are in flight: then the caller reads. Signal-safe.
    [[nodiscard]] bool begin(Fill& fill) FAULTLINE_SIGNAL_SAFE;

    /// The same, but the device hears of it with submit() only: many reads at once cost it and the CPU less.
    [[nodiscard]] bool queue(Fill& fill) FAULTLINE_SIGNAL_SAFE;
    void submit() FAULTLINE_SIGNAL_SAFE;

    /// Pages to be brought in as soon as fewer reads are in flight.
    struct Wanted {
        std::uint32_t region = 0;
        core::PageRange pages{};
        bool for_writing = false;
    };
    /// False when the list of wanted pages is full. Signal-safe; signals are blocked.
    [[nodiscard]] bool want(const Wanted& wanted) FAULTLINE_SIGNAL_SAFE;

    /// Returns when every read that was wanted before the call has begun (or need not be).
    void wait_until_begun() noexcept;

    /// Forgets what is wanted, and returns when nothing is in flight. The caller sees to it that nothing is begun.
    void drain() noexcept;

private:
    struct Slot {
        Fill fill;
        std::atomic<std::uint64_t> began{0};  // nanoseconds of the steady clock; 0: not yet, or no more
    };

    /// Slots that wanted pages leave to faults.
    static constexpr unsigned kForFaults = 4;
    /// With more in flight, wanted pages wait until several can be begun together.
    static constexpr unsigned kEnoughInFlight = kDepth / 2;
    static constexpr std::size_t kMostWanted = 4096;

    void wake() FAULTLINE_SIGNAL_SAFE;
    void await_wake_up() noexcept;
    void begin_wanted() noexcept;
    [[nodiscard]] bool take_wanted(Wanted& next, std::uint64_t most) noexcept;
    [[nodiscard]] std::span<std::byte> buffer(unsigned index, std::size_t bytes) const noexcept;
    void run() noexcept;
    /// False: the thread is to end.
    [[nodiscard]] bool take(const sys::IoRing::Completion& completion) noexcept;
    void finish(unsigned index, long result) noexcept;
    void check_patience() const noexcept;

    Pager& pager_;
    unsigned handlers_;
    std::chrono::nanoseconds patience_;
    sys::Mapping memory_;
    std::array<Slot, kDepth> slots_;
    sys::SlotPool in_flight_{kDepth};
    std::atomic<bool> somebody_reads_{false};
    sys::FutexLock submitting_;  // one thread at a time queues and submits; the reader thread only collects
    sys::IoRing ring_;

    sys::FutexLock wanting_;  // guards the list: a ring of `wanted_count_` entries from `first_wanted_` on
    std::unique_ptr<Wanted[]> wanted_ = std::make_unique<Wanted[]>(kMostWanted);
    std::size_t first_wanted_ = 0;
    std::size_t wanted_count_ = 0;
    std::atomic<std::uint32_t> wanted_left_{0};  // entries, and what is just being begun; a futex

    // Waking the reader thread is a write to a file that it reads through the ring: a thread of the program's that
    // submitted anything itself would have system calls interrupted by the kernel, later.
    sys::FileDescriptor bell_;
    std::uint64_t rings_ = 0;         // what was read from it
    std::atomic<bool> woken_{false};  // a wake-up is on its way
    std::atomic<bool> stopping_{false};

    sys::ServiceThread thread_;  // last: joined before the rest goes
};

}  // namespace faultline::detail
