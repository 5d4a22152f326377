// What memory a system call leads to: argument by argument, and through the structures that arguments point to. Not of
// those that transfer.hpp represents.
#pragma once

#include "preload/calls.hpp"

#include <cstdint>

namespace faultline::preload {

/// How much memory one argument leads to, if it is an address.
struct Extent {
    std::uint64_t bytes = 0;
    bool exact = false;  ///< Else at most so much: what lies behind the object may be anything.
};

[[nodiscard]] Extent extent_of(const Call& call, unsigned argument) noexcept;

/// A callback without an allocation.
struct MemoryVisitor {
    void (*visit)(void* context, std::uint64_t address, std::uint64_t bytes);
    void* context;
    void operator()(std::uint64_t address, std::uint64_t bytes) const { visit(context, address, bytes); }
};

/// Calls `visit` for memory that is reached through structures. Reads these: they must be readable, if they are
/// managed.
void for_each_indirect_memory(const Call& call, const MemoryVisitor& visit);

}  // namespace faultline::preload
