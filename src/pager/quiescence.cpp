#include "pager/quiescence.hpp"

#include <thread>

namespace faultline::detail {

void Quiescence::synchronize() {
    const std::lock_guard lock{writers_};
    // Twice: a reader may have read `current_` before the first switch and counted itself in after the first drain.
    for (int pass = 0; pass < 2; ++pass) drain(current_.fetch_add(1) & 1U);
}

void Quiescence::drain(unsigned set) {
    for (;;) {
        // Left before entered: a reader counted in `left` is then counted in `entered`, so equal sums mean nobody
        // inside.
        std::uint64_t left = 0;
        std::uint64_t entered = 0;
        for (const Shard& shard : shards_) left += shard.left[set].load();
        for (const Shard& shard : shards_) entered += shard.entered[set].load();
        if (left == entered) return;
        std::this_thread::yield();  // readers are faults: microseconds, or one read of the store
    }
}

}  // namespace faultline::detail
