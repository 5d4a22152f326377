// Runs a function on several threads.
#pragma once

#include <functional>
#include <thread>
#include <vector>

namespace faultline::test {

/// Runs `body(index)` on `count` threads and waits for all of them.
inline void run_threads(unsigned count, const std::function<void(unsigned)>& body) {
    std::vector<std::thread> threads;
    threads.reserve(count);
    for (unsigned i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
    for (std::thread& thread : threads) thread.join();
}

}  // namespace faultline::test
