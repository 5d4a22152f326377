// UnitMaps: the unit maps of all regions that FileMappings watches, and the lock that guards them. It makes no system
// call.
#pragma once

#include "core/signal_safe.hpp"
#include "mmu/unit_map.hpp"
#include "sys/futex_lock.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace faultline::mmu {

class UnitMaps {
public:
    /// `add` and `remove` are for the control path, one call at a time. `add` throws std::bad_alloc. `remove` returns
    /// false if no region begins at `begin`. The caller does not hold the lock.
    void add(std::byte* begin, std::size_t bytes) { add(std::make_unique<UnitMap>(begin, bytes)); }
    void add_window(std::byte* begin, std::size_t bytes) {
        add(std::make_unique<UnitMap>(begin, bytes, UnitMap::Units::mapped_later));
    }
    bool remove(const void* begin) noexcept;

    /// Guards all maps. No system call is made while it is held.
    [[nodiscard]] sys::FutexLock& lock() const FAULTLINE_SIGNAL_SAFE { return lock_; }

    /// Returns the map of the region that contains `address`. The caller holds the lock, and owns a page of the region;
    /// the map exists as long.
    [[nodiscard]] UnitMap& at(const void* address) const FAULTLINE_SIGNAL_SAFE;

    /// Like UnitMap::find_islands, in the first region that has any; the shortest runs of all regions first. The next
    /// call continues the search. The caller holds the lock.
    [[nodiscard]] std::size_t find_islands(std::span<iovec> runs, UnitAccess closed_as) FAULTLINE_SIGNAL_SAFE;

private:
    using Maps = std::vector<std::unique_ptr<UnitMap>>;

    void add(std::unique_ptr<UnitMap> fresh);

    mutable sys::FutexLock lock_;
    Maps maps_;  // sorted by address
    // Position of find_islands.
    std::size_t island_units_ = 1;
    std::size_t island_region_ = 0;
};

}  // namespace faultline::mmu
