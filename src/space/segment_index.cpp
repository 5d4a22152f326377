#include "space/segment_index.hpp"

#include <algorithm>

namespace faultline::space {

SegmentIndex::SegmentIndex(const SegmentSet& segments) {
    entries_.reserve(segments.size());
    segments.for_each([&](const Segment& segment) {
        const Origin& origin = segment.origin;
        Entry& entry = entries_.emplace_back();
        entry.range = segment.range;
        entry.access = origin.access;
        entry.guard = origin.guard;
        entry.shared = origin.shared && !origin.pages;
        any_shared_ |= entry.shared;
        origin.name.copy(entry.name.data(), entry.name.size() - 1);
        entry.file = origin.file.get();
        entry.file_offset = origin.file_offset;
        entry.file_limit = origin.file_limit;
        if (origin.file && (files_.empty() || files_.back() != origin.file)) files_.push_back(origin.file);
    });
}

const SegmentIndex::Entry* SegmentIndex::find(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE {
    const auto after =
        std::upper_bound(entries_.begin(), entries_.end(), address,
                         [](std::uintptr_t wanted, const Entry& entry) { return wanted < entry.range.begin; });
    if (after == entries_.begin()) return nullptr;
    const Entry& entry = *std::prev(after);
    return entry.range.contains(address) ? &entry : nullptr;
}

}  // namespace faultline::space
