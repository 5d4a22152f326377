// What compressed stores of one pool have done and hold: as a value to look at, and as counters to add to.
#pragma once

#include "core/signal_safe.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::store {

/// A block is a page, or 16 KiB of a larger one. Each value is exact; they are not read at the same instant.
struct CompressedStats {
    std::uint64_t compressed_bytes = 0;  ///< In memory now, without what managing them takes.
    std::uint64_t original_bytes = 0;    ///< That they stand for.
    std::uint64_t used_bytes = 0;        ///< Of the limit: whole segments.
    std::uint64_t rejections = 0;        ///< Blocks that did not shrink enough, or were not tried for that reason.
    std::uint64_t overflows = 0;         ///< Blocks that went to the store behind because there was no room.
    std::uint64_t spills = 0;            ///< Blocks moved from memory to the store behind.
    std::uint64_t hits = 0;              ///< Blocks read from memory.
    std::uint64_t misses = 0;            ///< Blocks read from the store behind.
    std::uint64_t damaged = 0;           ///< Blocks whose checksum was wrong when they were read or spilled.
};

struct CompressedCounters {
    std::atomic<std::uint64_t> compressed_bytes{0};
    std::atomic<std::uint64_t> original_bytes{0};
    std::atomic<std::uint64_t> rejections{0};
    std::atomic<std::uint64_t> overflows{0};
    std::atomic<std::uint64_t> spills{0};
    std::atomic<std::uint64_t> damaged{0};
    // Reading threads do not share a line with writing ones.
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
