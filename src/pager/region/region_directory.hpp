// RegionDirectory: finds a pager's regions by id, so that a page has a name of 64 bits (core::PageRef). It does not own
// regions. The fault path looks regions up; RegionLifecycle adds and removes them.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/error.hpp"
#include "sys/lazy_array.hpp"

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <vector>

namespace faultline::pager {

class Region;

/// Lookups are lock-free and signal-safe. The region found lives as long as the caller is a reader of
/// RegionMap::readers().
class RegionDirectory {
public:
    static constexpr std::uint32_t kMostRegions = 1U << 20;

    /// Returns the region with an id, or null.
    [[nodiscard]] Region* find(std::uint32_t id) const FAULTLINE_SIGNAL_SAFE {
        return regions_[id].load(std::memory_order_acquire);
    }

    /// Visits regions until `visit` returns true. May miss regions that are added or removed meanwhile.
    template <typename Visit>
    void for_each_until(Visit visit) const FAULTLINE_SIGNAL_SAFE {
        const std::uint32_t end = next_id_.load(std::memory_order_relaxed);
        for (std::uint32_t id = 1; id < end; ++id) {
            if (Region* const region = find(id); region != nullptr && visit(*region)) return;
        }
    }

    // For control calls. The caller serialises them.

    /// Visits all regions.
    template <typename Visit>
    void for_each(Visit visit) const {
        for_each_until([&](Region& region) {
            visit(region);
            return false;
        });
    }

    /// Returns an unused id, never 0. Throws std::system_error (ENOMEM) when all are used.
    [[nodiscard]] std::uint32_t take_id() {
        if (!free_ids_.empty()) {
            const std::uint32_t id = free_ids_.back();
            free_ids_.pop_back();
            return id;
        }
        const std::uint32_t id = next_id_.load(std::memory_order_relaxed);
        if (id == kMostRegions)
            sys::throw_error(ENOMEM, "cannot make a region: a pager has at most 1048575; destroy some");
        next_id_.store(id + 1, std::memory_order_relaxed);
        return id;
    }
    /// Makes an id available again. `set(id, nullptr)` comes first, and the readers of the region have ended.
    void give_back_id(std::uint32_t id) { free_ids_.push_back(id); }
    /// Publishes `region` under an id from `take_id`; null removes it.
    void set(std::uint32_t id, Region* region) noexcept { regions_[id].store(region, std::memory_order_release); }

private:
    sys::LazyArray<std::atomic<Region*>> regions_{kMostRegions, "region ids"};
    std::vector<std::uint32_t> free_ids_;
    std::atomic<std::uint32_t> next_id_{1};
};

}  // namespace faultline::pager
