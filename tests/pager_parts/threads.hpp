// Runs threads that begin at the same time, and joins them.
#pragma once

#include <barrier>
#include <cstddef>
#include <thread>
#include <vector>

namespace faultline::test {

/// Runs `body(0)` to `body(count - 1)` concurrently. Returns when all have ended.
template <typename Body>
void run_threads(unsigned count, Body body) {
    std::barrier begin{static_cast<std::ptrdiff_t>(count)};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < count; ++i) {
        threads.emplace_back([&begin, &body, i] {
            begin.arrive_and_wait();
            body(i);
        });
    }
    for (std::thread& thread : threads) thread.join();
}

}  // namespace faultline::test
