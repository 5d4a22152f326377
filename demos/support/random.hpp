// Small fast random generators for workloads. Unlike std's distributions, they give the same values from a seed on
// every machine. Not for secrets.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace faultline::demo {

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection; every output bit depends on every input bit.
[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t value) noexcept {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31);
}

/// The increment of SplitMix64: 2^64 divided by the golden ratio, odd.
inline constexpr std::uint64_t kGoldenGamma = 0x9e3779b97f4a7c15U;

/// xoshiro256** 1.0 (Blackman, Vigna 2018). One per thread.
class Random {
public:
    explicit constexpr Random(std::uint64_t seed) noexcept {
        for (auto& word : state_) word = mix64(seed += kGoldenGamma);
    }

    constexpr std::uint64_t next() noexcept {
        const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

    /// Returns a number in [0, bound), uniform to within bound / 2^64. `bound` is above 0.
    constexpr std::uint64_t below(std::uint64_t bound) noexcept {
        __extension__ using Wide = unsigned __int128;
        return static_cast<std::uint64_t>((Wide{next()} * bound) >> 64);
    }

    /// Returns true with probability 1/2.
    constexpr bool coin() noexcept { return (next() >> 63) != 0; }

    /// Returns a number in [0, 1), uniform.
    constexpr double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

private:
    std::array<std::uint64_t, 4> state_{};
};

}  // namespace faultline::demo
