// Departure: when a page was evicted, in the 32 payload bits of an absent page's word. It holds the pager's eviction
// count at that time (27 bits) and the replacement policy's tag (5 bits). The pager compares it with the present count
// to find the refault distance. It is a type of its own because the count is stored shifted: code that read the payload
// as a plain count would get a wrong number.
#pragma once

#include <cstdint>

namespace faultline::core {

class Departure {
public:
    static constexpr unsigned kTagBits = 5;
    static constexpr unsigned kCountBits = 32 - kTagBits;

    /// Constructs the payload of a page that was never evicted.
    constexpr Departure() noexcept = default;

    /// Returns the departure of a page that is evicted now. `evictions`: how many pages the pager has evicted so far.
    /// `tag`: below 2^kTagBits, kept for the replacement policy.
    [[nodiscard]] static constexpr Departure after(std::uint32_t evictions, std::uint8_t tag = 0) noexcept {
        return Departure{evictions << kTagBits | (tag & kTagMask)};
    }
    /// Returns a departure so long before `evictions` that the policy does not count the next fault as a refault. For
    /// pages that come in for the first time, or whose eviction is not known.
    [[nodiscard]] static constexpr Departure long_before(std::uint32_t evictions) noexcept {
        return after(evictions + (std::uint32_t{1} << (kCountBits - 1)));
    }
    /// Restores a departure from a `payload()`.
    [[nodiscard]] static constexpr Departure from(std::uint32_t payload) noexcept { return Departure{payload}; }

    [[nodiscard]] constexpr std::uint32_t payload() const noexcept { return bits_; }
    [[nodiscard]] constexpr std::uint8_t tag() const noexcept { return static_cast<std::uint8_t>(bits_ & kTagMask); }
    /// Returns how many pages the pager has evicted since this departure; `evictions` is the present count. Correct up
    /// to 2^kCountBits evictions; then the result starts again at 0.
    [[nodiscard]] constexpr std::uint32_t evictions_until(std::uint32_t evictions) const noexcept {
        return (evictions - (bits_ >> kTagBits)) & ((std::uint32_t{1} << kCountBits) - 1);
    }

    friend constexpr bool operator==(Departure, Departure) noexcept = default;

private:
    constexpr explicit Departure(std::uint32_t bits) noexcept : bits_{bits} {}

    static constexpr std::uint32_t kTagMask = (std::uint32_t{1} << kTagBits) - 1;

    std::uint32_t bits_ = 0;
};

}  // namespace faultline::core
