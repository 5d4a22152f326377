// What the processes do: the same calls, with the same sizes in the same order, whoever's heap it is.
#pragma once

#include "heap_throughput/contestants.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace bench {

/// A part of a program's life that is timed for itself.
struct Phase {
    double seconds = 0;
    std::uint64_t operations = 0;
};

inline constexpr std::size_t kPhases = 8;
using Phases = std::array<Phase, kPhases>;

struct PhaseName {
    const char* name;
    const char* what;
};
extern const std::array<PhaseName, kPhases> kPhaseNames;

/// A program that has objects of `bytes` in all: builds them, uses them, frees most, builds anew, frees all. Throws
/// std::runtime_error when an object is not what was written, or there is no memory.
Phases live_with(const Allocator& allocator, std::size_t bytes, std::size_t lookups);

/// A program that frees most of what it allocates: `generations` times objects of `bytes`, of which one in 32 stays.
/// Returns what it has allocated, in bytes. Throws as above.
std::uint64_t free_most(const Allocator& allocator, std::size_t bytes, unsigned generations);

/// Memory that the programs need besides, for their tables.
std::size_t table_bytes(std::size_t object_bytes) noexcept;

}  // namespace bench
