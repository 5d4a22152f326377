// Tells which memory a system call names: per argument, and through structures that arguments point to.
// Does not cover the calls that transfer.hpp represents. Called by ArgumentMemory.
#pragma once

#include "preload/calls.hpp"

#include <cstdint>

namespace faultline::preload {

/// How much memory one argument names, if it is an address.
struct Extent {
    std::uint64_t bytes = 0;
    bool exact = false;  ///< False: `bytes` is an upper bound, and memory behind the object may hold anything.
};

[[nodiscard]] Extent extent_of(const Call& call, unsigned argument) noexcept;
/// Returns the memory that this argument names; 0 bytes if it is no address.

/// A callback that needs no allocation.
struct MemoryVisitor {
    void (*visit)(void* context, std::uint64_t address, std::uint64_t bytes);
    void* context;
    void operator()(std::uint64_t address, std::uint64_t bytes) const { visit(context, address, bytes); }
};

/// Calls `visit` for memory that the call reaches through structures, as far as these may be read.
void for_each_indirect_memory(const Call& call, const MemoryVisitor& visit);

}  // namespace faultline::preload
