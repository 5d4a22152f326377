// DepartureClock: counts the evictions of one pager. Refault distances are differences of this count.
#pragma once

#include "core/departure.hpp"
#include "core/signal_safe.hpp"

#include <faultline/replacement_policy.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {

/// Lock-free, signal-safe.
///
/// A page that is absent while 2^27 ticks pass seems to have left just now. So a tick is one eviction up to
/// kExactFrames frames, and several evictions for more: 2^27 ticks are then at least 8 times the frames.
class DepartureClock {
public:
    /// `frames`: the most pages that the pager may ever hold.
    explicit DepartureClock(std::size_t frames) noexcept
        : shift_{std::min(static_cast<unsigned>(std::bit_width(frames / kExactFrames)), kMostShift)} {}

    /// Returns the time, modulo 2^32.
    [[nodiscard]] std::uint32_t now() const FAULTLINE_SIGNAL_SAFE {
        return static_cast<std::uint32_t>(evictions_.load(std::memory_order_relaxed) >> shift_);
    }

    /// Returns the number of evictions so far.
    [[nodiscard]] std::uint64_t evictions() const FAULTLINE_SIGNAL_SAFE {
        return evictions_.load(std::memory_order_relaxed);
    }

    /// Counts one eviction and returns its departure. `policy_tag` is the replacement policy's note on the page.
    [[nodiscard]] core::Departure next(std::uint8_t policy_tag) FAULTLINE_SIGNAL_SAFE {
        const std::uint64_t evictions = evictions_.fetch_add(1, std::memory_order_relaxed);
        return core::Departure::after(static_cast<std::uint32_t>(evictions >> shift_), policy_tag);
    }

    /// Returns the departure of a page that left so long ago that the policy treats it as new.
    [[nodiscard]] core::Departure long_ago() const FAULTLINE_SIGNAL_SAFE { return core::Departure::long_before(now()); }

    /// Returns how a stored page comes back by a hard fault. `payload` is that of its page word.
    [[nodiscard]] Arrival arrival(std::uint32_t payload) const FAULTLINE_SIGNAL_SAFE {
        const core::Departure left = core::Departure::from(payload);
        return {Arrival::Kind::hard_fault, left.evictions_until(now()) << shift_, left.tag()};
    }

    /// Returns false if a distance of `arrival` is that of a page that left long ago, or whose eviction is not known.
    [[nodiscard]] static constexpr bool is_known(std::uint32_t evictions_ago) noexcept {
        return evictions_ago < std::uint32_t{1} << (core::Departure::kCountBits - 2);
    }

private:
    static_assert(Victim::kMaxTag < 1U << core::Departure::kTagBits);
    static constexpr std::size_t kExactFrames = std::size_t{1} << (core::Departure::kCountBits - 3);
    static constexpr unsigned kMostShift = core::Departure::kTagBits;  // a distance has 32 bits

    std::atomic<std::uint64_t> evictions_{0};
    const unsigned shift_;
};

}  // namespace faultline::pager
