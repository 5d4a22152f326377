// RefaultInterval: how many evictions pass between an eviction of a page and the fault that brings it back. It is the
// mean over the page's refaults, the last one weighing a half, in powers of two of the number of frames. A pager sees
// no hits, but the time that a page stays away tells how often the program uses it: under random access it is as long
// as the time between two uses. SecondChance keeps one per mapped page, and one in the word of each absent page.
#pragma once

#include "core/signal_safe.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace faultline::policy {

class RefaultInterval {
public:
    static constexpr unsigned kSteps = 6;  ///< Quarter, half, once, twice, 4 and 8 times the frames.

    /// Constructs the interval that is assumed of a page that has not come back yet: twice the frames.
    constexpr RefaultInterval() noexcept = default;
    /// `step`: below kSteps.
    [[nodiscard]] static constexpr RefaultInterval at_step(unsigned step) noexcept { return RefaultInterval{step}; }
    /// Returns the interval nearest to a number of evictions.
    [[nodiscard]] static constexpr RefaultInterval nearest(std::uint64_t evictions, std::size_t frames) noexcept {
        // The border between two steps is their geometric mean: 181 / 128 is the square root of 2.
        const std::uint64_t in_quarters = evictions * 181 / 128 / quarter(frames);
        const auto width = static_cast<unsigned>(std::bit_width(in_quarters));
        return RefaultInterval{std::clamp(width, 1U, kSteps) - 1};
    }

    [[nodiscard]] constexpr unsigned step() const noexcept { return step_; }
    /// Returns the interval in quarters of the frames: 1, 2, 4, ...
    [[nodiscard]] constexpr std::uint64_t quarters() const noexcept { return std::uint64_t{1} << step_; }

    /// Returns the interval after the page came back `evictions_ago`: the mean of this one and that.
    [[nodiscard]] constexpr RefaultInterval after(std::uint32_t evictions_ago, std::size_t frames) const noexcept {
        const std::uint64_t longest = quarter(frames) << (kSteps - 1);
        return nearest((quarter(frames) * quarters() + std::min<std::uint64_t>(evictions_ago, longest)) / 2, frames);
    }
    /// Returns the interval of a page that was seen to be used meanwhile: a step shorter.
    [[nodiscard]] constexpr RefaultInterval shorter() const noexcept {
        return RefaultInterval{step_ == 0 ? 0 : step_ - 1};
    }

    friend constexpr bool operator==(RefaultInterval, RefaultInterval) noexcept = default;

private:
    constexpr explicit RefaultInterval(unsigned step) noexcept : step_{step} {}

    static constexpr std::uint64_t quarter(std::size_t frames) noexcept {
        return std::max<std::uint64_t>(frames / 4, 1);
    }

    static constexpr unsigned kAssumed = 3;

    unsigned step_ = kAssumed;
};

}  // namespace faultline::policy
