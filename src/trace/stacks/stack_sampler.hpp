// StackSampler: counts every fault, and takes a sample of some: one each time that the faults of the process have taken
// another step of time. So a place's part of the samples is its part of the time that faults took, whatever its faults
// cost. A fault of duration d, shorter than the step s, is sampled with probability d/s, and counts for s/d faults.
//
// The step doubles after every kSamplesPerStep samples, so that a long run does not make an endless file. Each sample
// says for how much time it counts.
#pragma once

#include "core/event_ring.hpp"
#include "core/signal_safe.hpp"
#include "trace/stacks/stack_sample.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::trace {

class StackSampler {
public:
    static constexpr std::uint64_t kSamplesPerStep = 8192;

    /// `waiting`: samples that fit the ring, a power of two. `step_ticks`: the first step. `stack_bytes`: of a sample,
    /// at most sys::kMostCopied. `touched_units`: by first touches before this one counts.
    StackSampler(std::size_t waiting, std::uint64_t step_ticks, std::size_t stack_bytes, std::uint64_t touched_units);

    /// Counts the fault of the calling thread, and puts a sample into the ring when its turn has come. Returns true if
    /// the ring is half full now, and the reader should hurry. Signal-safe.
    bool count(const ResolvedFault& fault) FAULTLINE_SIGNAL_SAFE;

    /// Calls `use(const StackSample&)` with the oldest sample; returns false if there is none. One thread at a time.
    template <typename Use>
    [[nodiscard]] bool take(Use use) {
        const bool taken = ring_.take_in_place(use);
        if (taken) waiting_.fetch_sub(1, std::memory_order_relaxed);
        return taken;
    }

    [[nodiscard]] FaultTotals totals() const noexcept;

private:
    /// The last address at which an instruction faulted. Two threads have different stack pointers, so each has its
    /// own.
    struct LastFault {
        std::atomic<std::uint64_t> key{0};
        std::atomic<std::uint64_t> address{0};
    };
    static constexpr std::size_t kInstructions = 1024;

    [[nodiscard]] std::uint64_t address_before(const ResolvedFault& fault) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::uint64_t turn_of(std::uint64_t ticks, std::uint64_t& step) FAULTLINE_SIGNAL_SAFE;

    const std::size_t half_;
    const std::size_t stack_bytes_;
    core::EventRing<StackSample> ring_;
    std::array<LastFault, kInstructions> last_faults_{};
    std::atomic<std::uint64_t> ticks_{0};  // of all faults
    std::atomic<std::uint64_t> next_at_;   // the value of `ticks_` at which the next sample is due
    std::atomic<std::uint64_t> step_;
    std::atomic<std::uint64_t> samples_{0};
    std::atomic<std::uint64_t> lost_{0};
    std::atomic<std::uint64_t> waiting_{0};  // samples in the ring
    std::atomic<std::uint64_t> evictions_{0};
    std::atomic<std::uint64_t> touched_units_;
    std::array<std::atomic<std::uint64_t>, kSampledKinds> faults_of_kind_{};
    std::array<std::atomic<std::uint64_t>, kSampledKinds> ticks_of_kind_{};
};

}  // namespace faultline::trace
