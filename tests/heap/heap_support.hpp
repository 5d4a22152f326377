// Shared by the heap's tests: a pager with little memory, a heap on it, and blocks filled with a pattern of their own.
#pragma once

#include "heap/heap.hpp"
#include "pager/pager_fixture.hpp"

#include <faultline/allocator.hpp>
#include <faultline/heap.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace faultline::test {

inline constexpr std::size_t kKiB = 1024;
inline constexpr std::size_t kMiB = 1024 * kKiB;

/// A configuration without background work, so that counters are deterministic.
inline Config heap_config(std::size_t limit, Delivery delivery = Delivery::uffd_signal) {
    Config config;
    config.resident_limit = limit;
    config.delivery = delivery;
    config.background_evictor = false;
    config.read_ahead = false;
    config.log = [](LogLevel, std::string_view) {};
    return config;
}

inline HeapOptions small_reservation(std::size_t bytes = 256 * kMiB) {
    HeapOptions config;
    config.reservation = bytes;
    return config;
}

/// A heap in `limit` bytes of memory.
struct SmallHeap {
    explicit SmallHeap(std::size_t limit = 64 * kMiB, const HeapOptions& config = small_reservation())
        : pager{heap_config(limit)}, heap{pager, config} {}
    Pager pager;
    Heap heap;
};

inline bool is_aligned(const void* block, std::size_t alignment) {
    return reinterpret_cast<std::uintptr_t>(block) % alignment == 0;
}

/// Fills a block with words that depend on their index and a seed.
inline void fill(void* block, std::size_t bytes, std::uint64_t seed) {
    auto* const at = static_cast<std::byte*>(block);
    for (std::size_t i = 0; i + 8 <= bytes; i += 8) store_word(at + i, stamp(i, seed));
    for (std::size_t i = bytes / 8 * 8; i < bytes; ++i) at[i] = static_cast<std::byte>(seed + i);
}
inline bool holds(const void* block, std::size_t bytes, std::uint64_t seed) {
    const auto* const at = static_cast<const std::byte*>(block);
    for (std::size_t i = 0; i + 8 <= bytes; i += 8) {
        if (load_word(at + i) != stamp(i, seed)) return false;
    }
    for (std::size_t i = bytes / 8 * 8; i < bytes; ++i) {
        if (at[i] != static_cast<std::byte>(seed + i)) return false;
    }
    return true;
}

}  // namespace faultline::test
