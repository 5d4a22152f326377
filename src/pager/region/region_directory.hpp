// RegionDirectory: a pager's regions by id, so that a page can be named in 64 bits. Lookups are lock-free and
// signal-safe; the region found lives as long as the caller is a reader of RegionMap::readers().
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

class RegionDirectory {
public:
    static constexpr std::uint32_t kMostRegions = 1U << 20;

    [[nodiscard]] Region* find(std::uint32_t id) const FAULTLINE_SIGNAL_SAFE {
        return regions_[id].load(std::memory_order_acquire);
    }

    /// Visits regions until `visit` says true; those that come or go meanwhile, perhaps.
    template <typename Visit>
    void for_each_until(Visit visit) const FAULTLINE_SIGNAL_SAFE {
        const std::uint32_t end = next_id_.load(std::memory_order_relaxed);
        for (std::uint32_t id = 1; id < end; ++id) {
            if (Region* const region = find(id); region != nullptr && visit(*region)) return;
        }
    }

    // Control path; the caller serialises.

    template <typename Visit>
    void for_each(Visit visit) const {
        for_each_until([&](Region& region) {
            visit(region);
            return false;
        });
    }

    /// An id for a new region, never 0. Throws std::system_error (ENOMEM).
    [[nodiscard]] std::uint32_t take_id() {
        if (!free_ids_.empty()) {
            const std::uint32_t id = free_ids_.back();
            free_ids_.pop_back();
            return id;
        }
        const std::uint32_t id = next_id_.load(std::memory_order_relaxed);
        if (id == kMostRegions) sys::throw_error(ENOMEM, "a pager has room for 1048575 regions");
        next_id_.store(id + 1, std::memory_order_relaxed);
        return id;
    }
    void give_back_id(std::uint32_t id) { free_ids_.push_back(id); }
    void set(std::uint32_t id, Region* region) noexcept { regions_[id].store(region, std::memory_order_release); }

private:
    sys::LazyArray<std::atomic<Region*>> regions_{kMostRegions, "region ids"};
    std::vector<std::uint32_t> free_ids_;
    std::atomic<std::uint32_t> next_id_{1};
};

}  // namespace faultline::pager
