#include "mmu/unit_maps.hpp"

#include "core/check.hpp"
#include "sys/signal_block.hpp"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <utility>

namespace faultline::mmu {
namespace {

constexpr std::size_t kLongestIsland = std::size_t{1} << 20;  // units

bool is_below(const void* address, const std::unique_ptr<UnitMap>& map) noexcept {
    return address < map->address_of(0);
}

}  // namespace

/// Faults search the list meanwhile, so memory is allocated before the lock is taken.
void UnitMaps::add(std::unique_ptr<UnitMap> fresh) {
    const std::byte* const begin = fresh->address_of(0);
    Maps larger;
    if (maps_.size() == maps_.capacity()) larger.reserve(2 * maps_.size() + 8);
    const sys::SignalBlock signals;
    const std::scoped_lock lock{lock_};
    if (larger.capacity() > 0) {
        std::move(maps_.begin(), maps_.end(), std::back_inserter(larger));
        maps_.swap(larger);
    }
    maps_.insert(std::upper_bound(maps_.begin(), maps_.end(), begin, is_below), std::move(fresh));
}

bool UnitMaps::remove(const void* begin) noexcept {
    std::unique_ptr<UnitMap> gone;  // freed after the lock is released
    const sys::SignalBlock signals;
    const std::scoped_lock lock{lock_};
    const auto at =
        std::find_if(maps_.begin(), maps_.end(), [&](const auto& map) { return map->address_of(0) == begin; });
    if (at == maps_.end()) return false;
    gone = std::move(*at);
    maps_.erase(at);
    return true;
}

UnitMap& UnitMaps::at(const void* address) const FAULTLINE_SIGNAL_SAFE {
    const auto after = std::upper_bound(maps_.begin(), maps_.end(), address, is_below);
    FAULTLINE_REQUIRE(after != maps_.begin(), "a page is outside all regions of its mapper");
    return **std::prev(after);
}

std::size_t UnitMaps::find_islands(std::span<iovec> runs, UnitAccess closed_as) FAULTLINE_SIGNAL_SAFE {
    for (; island_units_ <= kLongestIsland; island_units_ *= 2) {
        for (std::size_t i = 0; i < maps_.size(); ++i) {
            if (island_region_ >= maps_.size()) island_region_ = 0;
            const std::size_t found = maps_[island_region_]->find_islands(runs, island_units_, closed_as);
            if (found > 0) {
                if (island_units_ > 1) island_units_ /= 2;  // shorter runs may have appeared meanwhile
                return found;
            }
            ++island_region_;
        }
    }
    island_units_ = 1;
    return 0;
}

}  // namespace faultline::mmu
