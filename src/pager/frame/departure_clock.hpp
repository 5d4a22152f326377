// DepartureClock: counts the evictions of one pager. Refault distances are differences of this count.
#pragma once

#include "core/departure.hpp"
#include "core/signal_safe.hpp"
#include "policy/replacement_policy.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::pager {

/// Lock-free, signal-safe.
class DepartureClock {
public:
    /// Returns the number of evictions so far, modulo 2^32.
    [[nodiscard]] std::uint32_t now() const FAULTLINE_SIGNAL_SAFE { return evictions_.load(std::memory_order_relaxed); }

    /// Counts one eviction and returns its departure. `policy_tag` is the replacement policy's note on the page.
    [[nodiscard]] core::Departure next(std::uint8_t policy_tag) FAULTLINE_SIGNAL_SAFE {
        return core::Departure::after(evictions_.fetch_add(1, std::memory_order_relaxed), policy_tag);
    }

    /// Returns the departure of a page that left so long ago that the policy treats it as new.
    [[nodiscard]] core::Departure long_ago() const FAULTLINE_SIGNAL_SAFE { return core::Departure::long_before(now()); }

    /// Returns how a stored page comes back by a hard fault. `payload` is that of its page word.
    [[nodiscard]] policy::Arrival arrival(std::uint32_t payload) const FAULTLINE_SIGNAL_SAFE {
        const core::Departure left = core::Departure::from(payload);
        return {policy::Arrival::Kind::hard_fault, left.evictions_until(now()), left.tag()};
    }

private:
    std::atomic<std::uint32_t> evictions_{0};
};

}  // namespace faultline::pager
