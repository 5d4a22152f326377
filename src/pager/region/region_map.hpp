// RegionMap: finds the region, of any pager of the process, that an address belongs to. The fault path reads a sorted
// array of ranges without a lock; control calls publish a new array for each region that comes or goes.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/quiescence.hpp"

#include <cstdint>

namespace faultline::pager {

class Region;

/// One for the process, since signal handlers belong to the process.
class RegionMap {
public:
    /// Throws std::bad_alloc.
    static void insert(Region& region);

    /// Returns when no later lookup finds the region. A reader may still hold it: see RegionLifecycle::destroy.
    static void remove(Region& region);

    /// Returns the region at `address`, or null. The caller is a reader; the region lives as long. Signal-safe.
    [[nodiscard]] static Region* find(std::uintptr_t address) FAULTLINE_SIGNAL_SAFE;

    /// Returns the region at `address`, else the next region above it, else null. Otherwise like `find`.
    [[nodiscard]] static Region* find_from(std::uintptr_t address) FAULTLINE_SIGNAL_SAFE;

    // Around fork and clone; see snapshot/forking.hpp and region/standstill.hpp.

    /// Until `unlock`, in the parent or in the child, no other thread inserts or removes a region, clones a space, or
    /// forks with a region that is inherited.
    static void lock();
    static void unlock() noexcept;

    /// In a child, before anything is mapped there: makes the addresses of all regions inaccessible and keeps them
    /// reserved.
    static void close_in_child() noexcept;

    /// In a child, which has the memory of some regions only: forgets the regions for which `stays` is false. No thread
    /// is a reader.
    static void forget_unless(bool (*stays)(const Region&));

    /// In a child that has no region: starts with an empty map, whatever state a thread of the parent left the old one
    /// in.
    static void start_afresh();

    /// The readers that protect regions, and the references that staged batches hold to them.
    [[nodiscard]] static sys::Quiescence& readers() FAULTLINE_SIGNAL_SAFE;
};

}  // namespace faultline::pager
