// RegionRanges: the ranges of all regions, sorted by address and disjoint, as they are at one moment; never changed
// once readers have it. Cut into chunks, which successive snapshots share: one more region copies one chunk and the
// list of chunks, not the ranges of thousands.
#pragma once

#include "core/signal_safe.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace faultline::pager {

class Region;

class RegionRanges {
public:
    struct Range {
        std::uintptr_t begin;
        std::uintptr_t end;
        Region* region;
    };

    /// Copies with one range more, or one less. Throw std::bad_alloc.
    [[nodiscard]] std::unique_ptr<const RegionRanges> with(const Range& range) const;
    [[nodiscard]] std::unique_ptr<const RegionRanges> without(std::uintptr_t begin) const;

    /// The first range that ends above `address`, or null. Signal-safe.
    [[nodiscard]] const Range* find_from(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE;

    template <typename Visit>
    void for_each(Visit visit) const {
        for (const Part& part : parts_) {
            for (const Range& range : *part.chunk) visit(range);
        }
    }

private:
    using Chunk = std::vector<Range>;  // 1 to kMostPerChunk, sorted
    struct Part {
        std::uintptr_t end;  // of its last range
        std::shared_ptr<const Chunk> chunk;
    };
    static constexpr std::size_t kMostPerChunk = 128;

    [[nodiscard]] std::size_t part_of(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE;
    static Part part_from(Chunk&& ranges);

    std::vector<Part> parts_;
};

}  // namespace faultline::pager
