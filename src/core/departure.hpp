// Departure: what the word of an absent page remembers of its eviction, in the 32 bits of the word's payload: when the
// page left, counted in evictions of its pager, and the tag that the replacement policy gave it. A type of its own, so
// that no bare count of evictions is stored in a page word: read back, it would be half of itself.
#pragma once

#include <cstdint>

namespace faultline::core {

class Departure {
public:
    /// No page has left: the payload of a page that was never evicted.
    constexpr Departure() noexcept = default;

    /// A page leaves when the pager has evicted `evictions` pages. `tag`: 0 or 1, kept for the replacement policy.
    [[nodiscard]] static constexpr Departure after(std::uint32_t evictions, std::uint8_t tag = 0) noexcept {
        return Departure{evictions << 1 | (tag & 1U)};
    }
    /// A page comes in for the first time, or left so long before `evictions` that the policy does not take its coming
    /// in for a coming back.
    [[nodiscard]] static constexpr Departure long_before(std::uint32_t evictions) noexcept {
        return after(evictions + (std::uint32_t{1} << 30));
    }
    /// What `payload()` returned.
    [[nodiscard]] static constexpr Departure from(std::uint32_t payload) noexcept { return Departure{payload}; }

    [[nodiscard]] constexpr std::uint32_t payload() const noexcept { return bits_; }
    [[nodiscard]] constexpr std::uint8_t tag() const noexcept { return static_cast<std::uint8_t>(bits_ & 1U); }
    /// How many pages the pager has evicted since, when it has evicted `evictions` by now. Correct for 2^31 evictions;
    /// after that it starts again from 0.
    [[nodiscard]] constexpr std::uint32_t evictions_until(std::uint32_t evictions) const noexcept {
        return (evictions - (bits_ >> 1)) & 0x7fff'ffffU;
    }

    friend constexpr bool operator==(Departure, Departure) noexcept = default;

private:
    constexpr explicit Departure(std::uint32_t bits) noexcept : bits_{bits} {}

    std::uint32_t bits_ = 0;
};

}  // namespace faultline::core
