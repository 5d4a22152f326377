// ReadRings: reads several pieces of files at once, on the thread that needs them, through io_uring. With a fast disk
// it looks for the completion instead of sleeping: to fall asleep and to be woken takes a third as long as a read of 4
// KiB.
//
// The rings belong to the process and are never closed. When a ring is closed, the kernel interrupts the system calls
// of all threads that submitted to it, and these are threads of the program.
#pragma once

#include "core/running_median.hpp"
#include "core/signal_safe.hpp"
#include "store/backing_store.hpp"
#include "store/read_plan.hpp"
#include "sys/io_ring.hpp"
#include "sys/slot_pool.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>

namespace faultline::store {

/// Decides how long a thread that has begun a read looks for its completion before it sleeps. It compares how long
/// reads took for which threads looked, and for which they slept at once: in a virtual machine whose host delivers
/// interrupts late to a busy CPU, looking takes longer. Thread-safe, signal-safe. Updates are relaxed and may race: a
/// lost one counts for little.
class SpinPolicy {
public:
    /// If reads take longer than this, threads sleep at once: the wake-up is a small part of the read.
    static constexpr std::chrono::nanoseconds kSlowRead = std::chrono::microseconds{150};

    /// How a thread waited for a completion. `found`: it did not have to.
    enum class Wait : std::uint8_t { found, looked, slept };

    /// Returns how long to look now; 0: not at all. Call `end` afterwards if it is not 0.
    [[nodiscard]] std::chrono::nanoseconds begin(unsigned cpus) FAULTLINE_SIGNAL_SAFE;
    /// `lost_cpu`: another thread took the CPU meanwhile.
    void end(bool lost_cpu) FAULTLINE_SIGNAL_SAFE;

    /// Records how long a read of one piece took.
    void record(Wait wait, std::chrono::nanoseconds time) FAULTLINE_SIGNAL_SAFE {
        if (wait == Wait::looked) looked_.record(time);
        if (wait == Wait::slept) slept_.record(time);
    }

private:
    static constexpr std::uint32_t kMostScore = 16;
    // One read in so many tries the way that seems to be slower: rarely where looking is known to be in vain.
    static constexpr std::uint32_t kTryOneIn = 16;
    static constexpr std::uint32_t kTryInVainOneIn = 64;
    static constexpr std::chrono::nanoseconds kLeast = std::chrono::microseconds{1};
    static constexpr std::chrono::nanoseconds kStart = std::chrono::microseconds{50};

    [[nodiscard]] bool in_vain() const FAULTLINE_SIGNAL_SAFE;

    std::atomic<std::uint32_t> looking_{0};         // threads
    std::atomic<std::uint32_t> score_{kMostScore};  // 0: threads that looked lost their CPU lately
    std::atomic<std::uint32_t> reads_{0};
    // Duration of a read. Both begin below what a disk takes, so that both ways are tried.
    core::RunningMedian looked_{kStart, kLeast};
    core::RunningMedian slept_{kStart, kLeast};
};

class ReadRings {
public:
    /// The rings of the process.
    [[nodiscard]] static ReadRings& of_process();

    /// Opens the rings, one for each CPU and at most kMostRings, unless this process has done that: a child of fork has
    /// none of its parent's. Where the kernel refuses io_uring, reads are made one after the other. Control path.
    /// Throws std::system_error if no thread can be started.
    void open() { const Opening opening{*this}; }

    /// Does the same while the caller does something else: the rings are open once this is destroyed.
    class Opening {
    public:
        /// Throws std::system_error if no thread can be started.
        explicit Opening(ReadRings& rings);
        ~Opening();
        Opening(const Opening&) = delete;
        Opening& operator=(const Opening&) = delete;

    private:
        ReadRings& rings_;
        std::unique_lock<std::mutex> lock_;
        std::optional<sys::IoRing::Opening> made_;  // empty: this process has opened its rings before
    };

    /// Makes all reads; returns 0 or the first errno. EIO: a file ends too early. Signal-safe, thread-safe.
    [[nodiscard]] int read(std::span<const FileRead> reads, DuringRead* meanwhile) FAULTLINE_SIGNAL_SAFE;

private:
    static constexpr unsigned kMostRings = 16;
    static constexpr unsigned kNobody = ~0U;

    ReadRings() = default;
    [[nodiscard]] int read_through(unsigned index, std::span<const FileRead> reads,
                                   DuringRead* meanwhile) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] sys::IoRing::Completion await(sys::IoRing& ring, SpinPolicy::Wait& wait) FAULTLINE_SIGNAL_SAFE;

    std::mutex opening_;
    std::atomic<unsigned> opened_by_{kNobody};  // the generation of the process
    unsigned cpus_ = 1;
    std::array<sys::IoRing, kMostRings> rings_;
    std::atomic<std::uint64_t> free_{0};  // bit i: rings_[i] is open, and no thread uses it
    SpinPolicy spin_;
};

/// Reads pages of a store by its plan (BackingStore::plan_read), all files at once. Returns 0 or an errno.
/// Signal-safe.
[[nodiscard]] int read_by_plan(BackingStore& store, std::span<const StoreRead> reads,
                               DuringRead* meanwhile) FAULTLINE_SIGNAL_SAFE;

/// Reads a range of any size, with as many calls of BackingStore::read_pages as it takes. Returns 0 or an errno.
/// Signal-safe.
[[nodiscard]] int read_in_pieces(BackingStore& store, std::uint64_t offset,
                                 std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::store
