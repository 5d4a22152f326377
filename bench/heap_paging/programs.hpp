// The measured programs. They make the same calls with the same sizes in the same order on every allocator.
#pragma once

#include "heap_throughput/contestants.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace bench {

/// A part of a program's run that is timed separately.
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

/// A program with objects of `bytes` bytes in total: builds them, uses them, frees most, builds them again, frees all.
/// Throws std::runtime_error if an object does not hold what was written, or if there is no memory.
Phases live_with(const Allocator& allocator, std::size_t bytes, std::size_t lookups);

/// A program that frees most of what it allocates: `generations` times objects of `bytes` bytes, of which one in 32
/// stays. Returns the bytes allocated. Throws as above.
std::uint64_t free_most(const Allocator& allocator, std::size_t bytes, unsigned generations);

/// Additional memory that the programs need for their tables.
std::size_t table_bytes(std::size_t object_bytes) noexcept;

}  // namespace bench
