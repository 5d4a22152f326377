#include "space/segment.hpp"

#include "core/check.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace faultline::space {
namespace {

/// Returns whether `next` continues `segment`: it is adjacent, and equal in everything but its addresses.
bool can_merge(const Segment& segment, const Segment& next) noexcept {
    const Origin& first = segment.origin;
    const Origin& second = next.origin;
    return segment.range.end == next.range.begin && first.kind == second.kind && first.guard == second.guard &&
           first.shared == second.shared && first.keeper == second.keeper && first.access == second.access &&
           first.fork == second.fork && first.file_mapping.after(segment.range.bytes()) == second.file_mapping &&
           first.name == second.name && first.file == second.file && first.file_limit == second.file_limit &&
           (!first.file || first.file_offset + segment.range.bytes() == second.file_offset);
}

}  // namespace

SegmentSet::~SegmentSet() {
    segments_.clear_and_dispose([](Segment* segment) { delete segment; });
}

const Segment* SegmentSet::find(std::uintptr_t address) const noexcept {
    const Segment* const segment = find_from(address);
    return segment != nullptr && segment->range.contains(address) ? segment : nullptr;
}

Segment* SegmentSet::find(std::uintptr_t address) noexcept {
    return const_cast<Segment*>(std::as_const(*this).find(address));
}

const Segment* SegmentSet::find_from(std::uintptr_t address) const noexcept {
    auto above = segments_.upper_bound(address);
    if (above != segments_.begin() && std::prev(above)->range.contains(address)) --above;
    return above == segments_.end() ? nullptr : &*above;
}

bool SegmentSet::covers(AddressRange range) const noexcept {
    while (range.begin < range.end) {
        const Segment* const segment = find(range.begin);
        if (segment == nullptr) return false;
        range.begin = segment->range.end;
    }
    return true;
}

bool SegmentSet::is_free(AddressRange range) const noexcept {
    const Segment* const segment = find_from(range.begin);
    return segment == nullptr || segment->range.begin >= range.end;
}

std::optional<std::uintptr_t> SegmentSet::highest_gap(std::size_t bytes, AddressRange within) const noexcept {
    std::uintptr_t end = within.end;
    for (auto segment = segments_.rbegin(); segment != segments_.rend(); ++segment) {
        if (segment->range.begin >= end) continue;
        if (segment->range.end <= within.begin) break;
        if (segment->range.end < end && end - segment->range.end >= bytes) return end;
        end = segment->range.begin;
    }
    if (end < within.begin || end - within.begin < bytes) return std::nullopt;
    return end;
}

void SegmentSet::insert(AddressRange range, Origin origin) {
    FAULTLINE_REQUIRE(is_free(range), "two segments of an address space overlap");
    segments_.insert(*new Segment{range, std::move(origin)});
}

void SegmentSet::split_at(AddressRange range) {
    split_at(range.begin);
    split_at(range.end);
}

void SegmentSet::split_at(std::uintptr_t address) {
    Segment* const segment = find(address);
    if (segment == nullptr || segment->range.begin == address) return;
    auto rest = std::make_unique<Segment>(AddressRange{address, segment->range.end},
                                          segment->origin.after(address - segment->range.begin));
    segment->range.end = address;
    segments_.insert(*rest.release());
}

void SegmentSet::erase(AddressRange range) noexcept {
    segments_.erase_and_dispose(segments_.lower_bound(range.begin), segments_.lower_bound(range.end),
                                [](Segment* segment) { delete segment; });
}

void SegmentSet::set_access(AddressRange range, Access access) noexcept {
    std::for_each(segments_.lower_bound(range.begin), segments_.lower_bound(range.end),
                  [access](Segment& segment) { segment.origin.access = access; });
}

void SegmentSet::set_keeper(AddressRange range, Keeper keeper) noexcept {
    std::for_each(segments_.lower_bound(range.begin), segments_.lower_bound(range.end),
                  [keeper](Segment& segment) { segment.origin.keeper = keeper; });
}

void SegmentSet::set_file_mapping(AddressRange range, FileMapping mapping) noexcept {
    std::for_each(segments_.lower_bound(range.begin), segments_.lower_bound(range.end), [&](Segment& segment) {
        segment.origin.file_mapping = mapping.after(segment.range.begin - range.begin);
    });
}

void SegmentSet::merge(AddressRange range) noexcept {
    auto segment = segments_.lower_bound(range.begin);
    if (segment != segments_.begin()) --segment;
    while (segment != segments_.end() && segment->range.begin <= range.end) {
        const auto next = std::next(segment);
        if (next == segments_.end() || next->range.begin > range.end) return;
        if (!can_merge(*segment, *next)) {
            segment = next;
            continue;
        }
        segment->range.end = next->range.end;
        segments_.erase_and_dispose(next, [](Segment* gone) { delete gone; });
    }
}

}  // namespace faultline::space
