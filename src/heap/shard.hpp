// Shard: a group of threads that allocate from the same spans. Threads of different shards do not share spans, so they
// do not write to the same cache lines: not to those of the blocks, nor to those of the blocks' metadata. As long as
// there are no more threads than shards, each thread owns its spans. A block that a thread of another shard frees goes
// back to the shard that owns its span, through TransferCache.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::heap {

using Shard = std::uint8_t;

/// Enough for eight threads that run at once. Each shard keeps a few pages of its own that are partly free.
inline constexpr std::size_t kShards = 8;

/// How many threads belong to each shard. ThreadCaches' lock guards changes; reads need none.
class ShardThreads {
public:
    /// Returns the shard with the fewest threads, the lowest of several.
    [[nodiscard]] Shard emptiest() const noexcept {
        Shard found = 0;
        for (Shard shard = 1; shard < kShards; ++shard) {
            if (count(shard) < count(found)) found = shard;
        }
        return found;
    }
    void add(Shard shard) noexcept { counts_[shard].store(count(shard) + 1, std::memory_order_relaxed); }
    void remove(Shard shard) noexcept { counts_[shard].store(count(shard) - 1, std::memory_order_relaxed); }

    [[nodiscard]] std::uint32_t count(Shard shard) const noexcept {
        return counts_[shard].load(std::memory_order_relaxed);
    }

private:
    std::array<std::atomic<std::uint32_t>, kShards> counts_{};
};

}  // namespace faultline::heap
