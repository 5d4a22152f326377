#include "pager/region/region_ranges.hpp"

#include <algorithm>
#include <utility>

namespace faultline::pager {

namespace {

auto ends_below(std::uintptr_t address) {
    return [address](const auto& each) { return each.end <= address; };
}

}  // namespace

/// Returns the index of the part that holds the first range ending above `address`; the number of parts if there is
/// none.
std::size_t RegionRanges::part_of(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE {
    const auto found = std::partition_point(parts_.begin(), parts_.end(), ends_below(address));
    return static_cast<std::size_t>(found - parts_.begin());
}

const RegionRanges::Range* RegionRanges::find_from(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE {
    const std::size_t part = part_of(address);
    if (part == parts_.size()) return nullptr;
    const Chunk& chunk = *parts_[part].chunk;
    return &*std::partition_point(chunk.begin(), chunk.end(), ends_below(address));
}

RegionRanges::Part RegionRanges::part_from(Chunk&& ranges) {
    const std::uintptr_t end = ranges.back().end;
    return {end, std::make_shared<const Chunk>(std::move(ranges))};
}

std::unique_ptr<const RegionRanges> RegionRanges::with(const Range& range) const {
    auto next = std::make_unique<RegionRanges>(*this);
    if (parts_.empty()) {
        next->parts_.push_back(part_from({range}));
        return next;
    }
    const std::size_t part = std::min(part_of(range.begin), parts_.size() - 1);
    Chunk ranges;
    ranges.reserve(parts_[part].chunk->size() + 1);
    ranges = *parts_[part].chunk;
    ranges.insert(std::partition_point(ranges.begin(), ranges.end(), ends_below(range.begin)), range);
    if (ranges.size() > kMostPerChunk) {
        const auto half = ranges.begin() + static_cast<std::ptrdiff_t>(ranges.size() / 2);
        next->parts_.insert(next->parts_.begin() + static_cast<std::ptrdiff_t>(part),
                            part_from(Chunk(ranges.begin(), half)));
        next->parts_[part + 1] = part_from(Chunk(half, ranges.end()));
    } else {
        next->parts_[part] = part_from(std::move(ranges));
    }
    return next;
}

std::unique_ptr<const RegionRanges> RegionRanges::without(std::uintptr_t begin) const {
    auto next = std::make_unique<RegionRanges>(*this);
    const std::size_t part = part_of(begin);
    Chunk ranges = *parts_[part].chunk;
    std::erase_if(ranges, [begin](const Range& range) { return range.begin == begin; });
    if (ranges.empty()) {
        next->parts_.erase(next->parts_.begin() + static_cast<std::ptrdiff_t>(part));
    } else {
        next->parts_[part] = part_from(std::move(ranges));
    }
    return next;
}

}  // namespace faultline::pager
