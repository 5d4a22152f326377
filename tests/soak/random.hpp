// Random: the soak's random choices. Each thread has its own generator; all derive from the round's seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>

namespace faultline::soak {

class Random {
public:
    explicit Random(std::uint64_t seed) : engine_{seed} {}

    [[nodiscard]] std::uint64_t word() { return engine_(); }
    /// Returns a number from 0 to `end` - 1. `end` must not be 0.
    [[nodiscard]] std::size_t below(std::size_t end) {
        return std::uniform_int_distribution<std::size_t>{0, end - 1}(engine_);
    }
    [[nodiscard]] std::size_t between(std::size_t least, std::size_t most) { return least + below(most - least + 1); }
    [[nodiscard]] bool one_in(std::size_t count) { return below(count) == 0; }
    template <typename Value>
    [[nodiscard]] Value any_of(std::initializer_list<Value> values) {
        return values.begin()[below(values.size())];
    }

private:
    std::mt19937_64 engine_;
};

}  // namespace faultline::soak
