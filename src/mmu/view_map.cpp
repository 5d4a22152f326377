#include "mmu/view_map.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace faultline::mmu {

bool ViewMap::all(core::UnitRange run, View wanted) const noexcept {
    for (std::size_t unit = run.first; unit < run.end(); ++unit) {
        if (view(unit) != wanted) return false;
    }
    return true;
}

bool ViewMap::all_guarded(core::UnitRange run) const noexcept {
    for (std::size_t unit = run.first; unit < run.end(); ++unit) {
        if (!guarded(unit)) return false;
    }
    return true;
}

bool ViewMap::any(core::UnitRange run, View wanted) const noexcept {
    for (std::size_t unit = run.first; unit < run.end(); ++unit) {
        if (view(unit) == wanted) return true;
    }
    return false;
}

/// Counts the pairs of adjacent units with different protection, from the unit before the run to the unit after it.
std::int64_t ViewMap::boundaries_around(core::UnitRange run) const noexcept {
    std::int64_t count = 0;
    const std::size_t begin = run.first == 0 ? 1 : run.first;
    const std::size_t end = std::min(run.end() + 1, units());
    for (std::size_t unit = begin; unit < end; ++unit) {
        if (view(unit) != view(unit - 1)) ++count;
    }
    return count;
}

void ViewMap::touched(core::UnitRange run) noexcept {
    if (touched_.count == 0) touched_ = run;
    const std::size_t first = std::min(touched_.first, run.first);
    touched_ = {first, std::max(touched_.end(), run.end()) - first};
}

std::int64_t ViewMap::set_view(core::UnitRange run, View view) FAULTLINE_SIGNAL_SAFE {
    touched(run);
    const std::int64_t before = boundaries_around(run);
    for (std::size_t unit = run.first; unit < run.end(); ++unit) {
        units_[unit] = static_cast<std::uint8_t>((units_[unit] & ~kViewMask) | static_cast<std::uint8_t>(view));
    }
    const std::int64_t change = boundaries_around(run) - before;
    boundaries_ += change;
    return change;
}

void ViewMap::set_guarded(core::UnitRange run, bool on) FAULTLINE_SIGNAL_SAFE {
    touched(run);
    for (std::size_t unit = run.first; unit < run.end(); ++unit) {
        units_[unit] = static_cast<std::uint8_t>(on ? units_[unit] | kGuarded : units_[unit] & ~kGuarded);
    }
}

std::int64_t ViewMap::forget() FAULTLINE_SIGNAL_SAFE {
    static_assert(static_cast<int>(View::closed) == 0);
    if (touched_.count != 0) units_.clear();
    touched_ = {};
    return -std::exchange(boundaries_, 0);
}

core::UnitRange ViewMap::next_closed(core::UnitRange within) const FAULTLINE_SIGNAL_SAFE {
    std::size_t first = within.first;
    while (first < within.end() && view(first) != View::closed) ++first;
    std::size_t end = first;
    while (end < within.end() && view(end) == View::closed) ++end;
    return {first, end - first};
}

core::UnitRange ViewMap::widened_to_neighbour(core::UnitRange run) const FAULTLINE_SIGNAL_SAFE {
    const std::size_t lowest = touched_.first;
    const std::size_t highest = touched_.end();
    for (std::size_t distance = 1;; ++distance) {
        const bool below = run.first >= lowest + distance;
        const bool above = run.end() + distance <= highest;
        if (!below && !above) return run;
        if (below && view(run.first - distance) != View::closed) {
            return {run.first - distance + 1, run.count + distance - 1};
        }
        if (above && view(run.end() + distance - 1) != View::closed) return {run.first, run.count + distance - 1};
    }
}

std::size_t ViewMap::find_islands(std::span<iovec> runs, std::size_t longest, View hidden_as) FAULTLINE_SIGNAL_SAFE {
    std::size_t found = 0;
    if (cursor_ < touched_.first || cursor_ >= touched_.end()) cursor_ = touched_.first;
    std::size_t searched = 0;
    while (searched < touched_.count && found < runs.size()) {
        const std::size_t first = cursor_;
        std::size_t end = first + 1;
        // A run has one protection and one guard state; only its protection is compared with the neighbours'.
        while (end < touched_.end() && units_[end] == units_[first]) ++end;
        const bool alone =
            (first == 0 || view(first - 1) != view(first)) && (end == units() || view(end) != view(first));
        if (open(first) && view(first) != hidden_as && end - first <= longest && alone) {
            runs[found++] = {address_of(first), (end - first) * core::kUnitBytes};
        }
        searched += end - first;
        cursor_ = end < touched_.end() ? end : touched_.first;
    }
    return found;
}

}  // namespace faultline::mmu
