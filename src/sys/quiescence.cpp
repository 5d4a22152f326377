#include "sys/quiescence.hpp"

#include "sys/transient.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

namespace faultline::sys {

void Quiescence::synchronize() {
    const std::lock_guard lock{writers_};
    // Twice: a reader may have read `current_` before the first switch and counted itself in after the first drain.
    for (int pass = 0; pass < 2; ++pass) drain(current_.fetch_add(1) & 1U);
}

void Quiescence::drain(unsigned set) {
    // Most readers are faults of some microseconds. Others read from the store, or need the CPU that yielding in a
    // thread of higher priority would keep. So the writer sleeps, longer each time.
    constexpr int kYields = 32;
    std::chrono::nanoseconds pause = std::chrono::microseconds{10};
    for (int looks = 0;; ++looks) {
        // `left` is summed before `entered`: a reader counted in `left` is then counted in `entered`, too. So equal
        // sums mean that no reader is inside.
        std::uint64_t left = 0;
        std::uint64_t entered = 0;
        for (const Shard& shard : shards_) left += shard.left[set].load();
        for (const Shard& shard : shards_) entered += shard.entered[set].load();
        if (left == entered) return;
        if (looks < kYields) {
            std::this_thread::yield();
        } else {
            sys::nap(pause);
            pause = std::min<std::chrono::nanoseconds>(2 * pause, std::chrono::milliseconds{1});
        }
    }
}

}  // namespace faultline::sys
