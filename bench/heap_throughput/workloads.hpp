// What the allocators are asked to do. Each runs for a time and returns how many operations it has come to.
#pragma once

#include "heap_throughput/contestants.hpp"

#include <cstdint>
#include <span>

namespace bench {

struct Workload {
    const char* name;
    const char* what;
    /// Operations: blocks allocated and freed, or reallocated.
    std::uint64_t (*run)(const Allocator& allocator, double seconds, unsigned threads);
};

std::span<const Workload> workloads();

}  // namespace bench
