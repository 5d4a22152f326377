// RegionTree: which region, of any pager of the process, an address belongs to. Control calls keep a tree; the fault
// path reads a sorted copy of it without a lock, and Quiescence says when an old copy, or a region, may go.
#pragma once

#include "core/signal_safe.hpp"
#include "pager/quiescence.hpp"

#include <cstdint>

namespace faultline::detail {

class Region;

/// One for the process, since a signal handler is.
class RegionTree {
public:
    /// Throws std::bad_alloc.
    static void insert(Region& region);

    /// Returns when no reader can find the region any more (it may still hold it: see Pager::destroy).
    static void remove(Region& region);

    /// The region at `address`, or null. The caller is a reader, and the region lives as long as it is. Signal-safe.
    [[nodiscard]] static Region* find(std::uintptr_t address) FAULTLINE_SIGNAL_SAFE;

    /// The region at `address`, or else the next one above it, or null. Otherwise like `find`.
    [[nodiscard]] static Region* find_from(std::uintptr_t address) FAULTLINE_SIGNAL_SAFE;

    /// Guards regions, and batches' references to them, on every road of the pager's.
    [[nodiscard]] static Quiescence& readers() FAULTLINE_SIGNAL_SAFE;
};

}  // namespace faultline::detail
