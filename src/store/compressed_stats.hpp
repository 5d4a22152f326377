// Statistics of the compressed stores of one pool. CompressedStats is a snapshot for callers. CompressedCounters are
// the atomics that CompressedPool, SlotWriter and SwapStore add to. The counters synchronise nothing: all accesses are
// relaxed.
#pragma once

#include "core/signal_safe.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::store {

/// A block is a page, or 16 KiB of a larger page. Each value is exact; the values are not read at the same instant.
struct CompressedStats {
    std::uint64_t compressed_bytes = 0;  ///< Compressed size of the blocks in memory, without overhead.
    std::uint64_t original_bytes = 0;    ///< Uncompressed size of the same blocks.
    std::uint64_t used_bytes = 0;        ///< Counts towards the limit: whole segments.
    std::uint64_t rejections =
        0;  ///< Blocks that did not shrink enough, or that were not compressed because earlier ones did not.
    std::uint64_t overflows = 0;  ///< Blocks written to the swap file because the pool had no room.
    std::uint64_t spills = 0;     ///< Blocks moved from memory to the swap file, or dropped because it has them.
    std::uint64_t hits = 0;       ///< Blocks read from memory.
    std::uint64_t misses = 0;     ///< Blocks read from the swap file.
    std::uint64_t damaged = 0;    ///< Blocks whose checksum was wrong when they were read or spilled.
    std::uint64_t inserts = 0;    ///< Blocks that were compressed into memory.
};

struct CompressedCounters {
    std::atomic<std::uint64_t> compressed_bytes{0};
    std::atomic<std::uint64_t> original_bytes{0};
    std::atomic<std::uint64_t> rejections{0};
    std::atomic<std::uint64_t> overflows{0};
    std::atomic<std::uint64_t> spills{0};
    std::atomic<std::uint64_t> damaged{0};
    std::atomic<std::uint64_t> inserts{0};
    // On a cache line of their own: threads that read do not share a line with threads that write.
    alignas(64) std::atomic<std::uint64_t> hits{0};
    std::atomic<std::uint64_t> misses{0};

    static void add(std::atomic<std::uint64_t>& counter, std::uint64_t amount = 1) FAULTLINE_SIGNAL_SAFE {
        counter.fetch_add(amount, std::memory_order_relaxed);
    }
    static void subtract(std::atomic<std::uint64_t>& counter, std::uint64_t amount) FAULTLINE_SIGNAL_SAFE {
        counter.fetch_sub(amount, std::memory_order_relaxed);
    }
};

}  // namespace faultline::store
