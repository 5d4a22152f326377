#include "mmu/unit_map.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace faultline::mmu {

bool UnitMap::all(core::UnitRange run, UnitAccess wanted) const noexcept {
    for (std::size_t unit = run.first; unit < run.end(); ++unit) {
        if (access(unit) != wanted) return false;
    }
    return true;
}

bool UnitMap::all_guarded(core::UnitRange run) const noexcept {
    for (std::size_t unit = run.first; unit < run.end(); ++unit) {
        if (!guarded(unit)) return false;
    }
    return true;
}

bool UnitMap::any(core::UnitRange run, UnitAccess wanted) const noexcept {
    for (std::size_t unit = run.first; unit < run.end(); ++unit) {
        if (access(unit) == wanted) return true;
    }
    return false;
}

/// Counts the pairs of adjacent units with different protection, from the unit before the run to the unit after it.
std::int64_t UnitMap::boundaries_around(core::UnitRange run) const noexcept {
    std::int64_t count = 0;
    const std::size_t begin = run.first == 0 ? 1 : run.first;
    const std::size_t end = std::min(run.end() + 1, units());
    for (std::size_t unit = begin; unit < end; ++unit) {
        if (access(unit) != access(unit - 1)) ++count;
    }
    return count;
}

void UnitMap::touched(core::UnitRange run) noexcept {
    if (run.count == 0) return;
    units_.mark(run.first, run.count);
    if (touched_.count == 0) touched_ = run;
    const std::size_t first = std::min(touched_.first, run.first);
    touched_ = {first, std::max(touched_.end(), run.end()) - first};
}

std::int64_t UnitMap::set_access(core::UnitRange run, UnitAccess access) FAULTLINE_SIGNAL_SAFE {
    touched(run);
    const std::int64_t before = boundaries_around(run);
    for (std::size_t unit = run.first; unit < run.end(); ++unit) {
        units_[unit] = static_cast<std::uint8_t>((units_[unit] & ~kAccessMask) | static_cast<std::uint8_t>(access));
    }
    const std::int64_t change = boundaries_around(run) - before;
    boundaries_ += change;
    return change;
}

void UnitMap::set_bit(core::UnitRange run, std::uint8_t bit, bool on) noexcept {
    touched(run);
    for (std::size_t unit = run.first; unit < run.end(); ++unit) {
        units_[unit] = static_cast<std::uint8_t>(on ? units_[unit] | bit : units_[unit] & ~bit);
    }
}

void UnitMap::set_guarded(core::UnitRange run, bool on) FAULTLINE_SIGNAL_SAFE { set_bit(run, kGuarded, on); }

void UnitMap::set_mapped(core::UnitRange run, bool on) FAULTLINE_SIGNAL_SAFE { set_bit(run, kMapped, on); }

std::int64_t UnitMap::forget() FAULTLINE_SIGNAL_SAFE {
    static_assert(static_cast<int>(UnitAccess::closed) == 0);
    if (touched_.count != 0) units_.clear();
    touched_ = {};
    return -std::exchange(boundaries_, 0);
}

core::UnitRange UnitMap::next_closed(core::UnitRange within) const FAULTLINE_SIGNAL_SAFE {
    std::size_t first = within.first;
    while (first < within.end() && !closed(first)) ++first;
    std::size_t end = first;
    while (end < within.end() && closed(end)) ++end;
    return {first, end - first};
}

core::UnitRange UnitMap::widened_to_neighbour(core::UnitRange run) const FAULTLINE_SIGNAL_SAFE {
    std::size_t lowest = touched_.first;
    std::size_t highest = touched_.end();
    for (std::size_t distance = 1;; ++distance) {
        const bool below = run.first >= lowest + distance;
        const bool above = run.end() + distance <= highest;
        if (!below && !above) return run;
        if (below && !mapped(run.first - distance)) lowest = run.first;
        if (above && !mapped(run.end() + distance - 1)) highest = run.end();
        if (below && access(run.first - distance) != UnitAccess::closed) {
            return {run.first - distance + 1, run.count + distance - 1};
        }
        if (above && access(run.end() + distance - 1) != UnitAccess::closed)
            return {run.first, run.count + distance - 1};
    }
}

std::size_t UnitMap::find_islands(std::span<iovec> runs, std::size_t longest,
                                  UnitAccess closed_as) FAULTLINE_SIGNAL_SAFE {
    std::size_t found = 0;
    if (cursor_ < touched_.first || cursor_ >= touched_.end()) cursor_ = touched_.first;
    std::size_t searched = 0;
    while (searched < touched_.count && found < runs.size()) {
        const std::size_t first = units_.next_marked(cursor_, touched_.end());  // those before it are closed
        searched += first - cursor_;
        cursor_ = first < touched_.end() ? first : touched_.first;
        if (cursor_ != first || searched >= touched_.count) continue;
        std::size_t end = first + 1;
        // A run has one protection and one guard state; only its protection is compared with the neighbours'.
        while (end < touched_.end() && units_[end] == units_[first] && units_[first] != 0) ++end;
        const bool alone =
            (first == 0 || access(first - 1) != access(first)) && (end == units() || access(end) != access(first));
        if (open(first) && access(first) != closed_as && end - first <= longest && alone) {
            runs[found++] = {address_of(first), (end - first) * core::kUnitBytes};
        }
        searched += end - first;
        cursor_ = end < touched_.end() ? end : touched_.first;
    }
    return found;
}

}  // namespace faultline::mmu
