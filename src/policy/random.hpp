// Random numbers for the replacement policy: the same in every run, without state outside the object.
#pragma once

#include "core/signal_safe.hpp"

#include <cstdint>

namespace faultline::policy {

/// xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled" (2016).
class Random {
public:
    constexpr explicit Random(std::uint64_t seed = 0x9e37'79b9'7f4a'7c15) noexcept : state_{seed} {}

    [[nodiscard]] std::uint64_t next() FAULTLINE_SIGNAL_SAFE {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545'f491'4f6c'dd1d;
    }

private:
    std::uint64_t state_;
};

}  // namespace faultline::policy
