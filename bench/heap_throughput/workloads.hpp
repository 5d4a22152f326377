// The workloads. Each runs for a time and returns the number of its operations.
#pragma once

#include "heap_throughput/contestants.hpp"

#include <cstdint>
#include <span>

namespace bench {

struct Workload {
    const char* name;
    const char* what;
    /// Runs it. Returns the number of blocks allocated and freed, or reallocated.
    std::uint64_t (*run)(const Allocator& allocator, double seconds, unsigned threads);
};

std::span<const Workload> workloads();

}  // namespace bench
