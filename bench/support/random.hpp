// Random numbers without memory: in the kernel peers every table would count against the memory limit. A generator, a
// bijection of page numbers, and Zipf's distribution.
#pragma once

#include <cmath>
#include <cstdint>

namespace bench {

/// A bijection of 64-bit words without visible structure (the finaliser of SplitMix64).
constexpr std::uint64_t mix(std::uint64_t value) noexcept {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
}

/// SplitMix64.
class Random {
public:
    explicit Random(std::uint64_t seed) noexcept : state_{mix(seed)} {}

    std::uint64_t next() noexcept { return mix(state_ += 0x9e3779b97f4a7c15ULL); }

    /// Returns a number in [0, bound), uniform by multiplication (Lemire); the bias is below bound / 2^64.
    std::uint64_t below(std::uint64_t bound) noexcept {
        __extension__ using Wide = unsigned __int128;
        return static_cast<std::uint64_t>((Wide{next()} * bound) >> 64);
    }

    /// Returns a number in [0, 1), uniform.
    double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

private:
    std::uint64_t state_;
};

/// A fixed permutation of [0, count): mixes within the next power of two, and repeats until the result is in range.
class Shuffle {
public:
    explicit Shuffle(std::uint64_t count) noexcept : count_{count} {
        while ((mask_ + 1) < count) mask_ = mask_ * 2 + 1;
        while ((std::uint64_t{1} << shift_) * (std::uint64_t{1} << shift_) <= mask_) ++shift_;
    }

    [[nodiscard]] std::uint64_t operator()(std::uint64_t index) const noexcept {
        do index = step(index);
        while (index >= count_);
        return index;
    }

private:
    [[nodiscard]] std::uint64_t step(std::uint64_t value) const noexcept {
        value = (value * 0x9e3779b97f4a7c15ULL + 0x632be5ab) & mask_;
        value ^= value >> shift_;
        value = (value * 0xbf58476d1ce4e5b9ULL + 0x85157af5) & mask_;
        value ^= value >> shift_;
        return (value * 0x94d049bb133111ebULL) & mask_;
    }

    std::uint64_t count_;
    std::uint64_t mask_ = 0;
    unsigned shift_ = 1;
};

/// Draws ranks 0 .. count-1 with probability proportional to 1 / (rank + 1)^exponent, exponent not 1, by
/// rejection-inversion (Hörmann and Derflinger 1996): no table, about one draw per rank.
class Zipf {
public:
    Zipf(std::uint64_t count, double exponent) noexcept
        : count_{static_cast<double>(count)},
          exponent_{exponent},
          low_{integral(1.5) - 1.0},
          high_{integral(count_ + 0.5)},
          shortcut_{2.0 - inverse(integral(2.5) - std::pow(2.0, -exponent))} {}

    std::uint64_t operator()(Random& random) const noexcept {
        for (;;) {
            const double u = high_ + random.unit() * (low_ - high_);
            const double x = inverse(u);
            double k = std::floor(x + 0.5);
            if (k < 1.0) k = 1.0;
            if (k > count_) k = count_;
            if (k - x <= shortcut_ || u >= integral(k + 0.5) - std::pow(k, -exponent_)) {
                return static_cast<std::uint64_t>(k) - 1;
            }
        }
    }

private:
    [[nodiscard]] double integral(double x) const noexcept {
        return (std::pow(x, 1.0 - exponent_) - 1.0) / (1.0 - exponent_);
    }
    [[nodiscard]] double inverse(double y) const noexcept {
        return std::pow(1.0 + y * (1.0 - exponent_), 1.0 / (1.0 - exponent_));
    }

    double count_;
    double exponent_;
    double low_;
    double high_;
    double shortcut_;
};

}  // namespace bench
