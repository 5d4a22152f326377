// Chance: what fakes leave to it. A generator per thread, so that nobody waits for another one's.
#pragma once

#include <random>
#include <thread>

namespace faultline::test {

/// True once in `one_in` times; never where that is 0.
[[nodiscard]] inline bool chance(unsigned one_in) noexcept {
    static thread_local std::minstd_rand random{std::random_device{}()};
    return one_in > 0 && random() % one_in == 0;
}

/// Lets other threads in between two steps, now and then for long: there they find the pager half-way.
inline void dawdle() noexcept {
    if (!chance(16)) return;
    for (int i = 0; i < 16; ++i) std::this_thread::yield();
}

}  // namespace faultline::test
