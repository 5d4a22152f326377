#include "space/gap_index.hpp"

#include <algorithm>
#include <iterator>

namespace faultline::space {

using core::AddressRange;

std::optional<AddressRange> GapIndex::smallest(std::size_t bytes) const noexcept {
    const auto fits = by_size_.lower_bound({bytes, 0});
    if (fits == by_size_.end()) return std::nullopt;
    const auto& [size, begin] = *std::prev(by_size_.upper_bound({fits->first, UINTPTR_MAX}));
    return AddressRange{begin, begin + size};
}

/// Returns the first gap that ends at `address` or above.
GapIndex::ByBegin::iterator GapIndex::first_reaching(std::uintptr_t address) {
    const auto above = by_begin_.upper_bound(address);
    if (above == by_begin_.begin()) return above;
    const auto below = std::prev(above);
    return below->second >= address ? below : above;
}

void GapIndex::take(AddressRange range) {
    auto gap = first_reaching(range.begin);
    while (gap != by_begin_.end() && gap->first < range.end) {
        const AddressRange old{gap->first, gap->second};
        if (!old.overlaps(range)) {
            ++gap;
            continue;
        }
        gap = remove(gap);
        add({old.begin, range.begin});
        add({range.end, old.end});
    }
}

void GapIndex::give(AddressRange range) {
    if (range.empty()) return;
    auto gap = first_reaching(range.begin);
    while (gap != by_begin_.end() && gap->first <= range.end) {
        range = {std::min(range.begin, gap->first), std::max(range.end, gap->second)};
        gap = remove(gap);
    }
    add(range);
}

void GapIndex::add(AddressRange gap) {
    if (gap.empty()) return;
    by_begin_.emplace(gap.begin, gap.end);
    by_size_.emplace(gap.bytes(), gap.begin);
}

GapIndex::ByBegin::iterator GapIndex::remove(ByBegin::iterator gap) {
    by_size_.erase({gap->second - gap->first, gap->first});
    return by_begin_.erase(gap);
}

}  // namespace faultline::space
