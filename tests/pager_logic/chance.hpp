// Chance: the random decisions of the fakes. Each thread has its own generator, so that no thread waits for another's.
#pragma once

#include <random>
#include <thread>

namespace faultline::test {

/// Returns true once in `one_in` times; never if that is 0.
[[nodiscard]] inline bool chance(unsigned one_in) noexcept {
    static thread_local std::minstd_rand random{std::random_device{}()};
    return one_in > 0 && random() % one_in == 0;
}

/// Yields between two steps, sometimes for long, so that other threads see the pager between them.
inline void dawdle() noexcept {
    if (!chance(16)) return;
    for (int i = 0; i < 16; ++i) std::this_thread::yield();
}

}  // namespace faultline::test
