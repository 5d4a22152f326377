// RegionRanges: an immutable snapshot of the address ranges of all regions, sorted and disjoint. RegionMap publishes a
// new snapshot for each region that is added or removed, and the fault path searches it. A snapshot is divided into
// chunks that successive snapshots share: to add a region copies one chunk and the list of chunks, not thousands of
// ranges. It does not own regions.
#pragma once

#include "core/address_range.hpp"
#include "core/signal_safe.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace faultline::pager {

class Region;

/// Never changed once readers can see it.
class RegionRanges {
public:
    /// The addresses of one region.
    struct Range : core::AddressRange {
        Region* region;
    };

    /// Returns a copy with `range` added, which must overlap no other. Throws std::bad_alloc.
    [[nodiscard]] std::unique_ptr<const RegionRanges> with(const Range& range) const;
    /// Returns a copy without the range that begins at `begin`, which must exist. Throws std::bad_alloc.
    [[nodiscard]] std::unique_ptr<const RegionRanges> without(std::uintptr_t begin) const;

    /// Returns the first range that ends above `address`, or null. It may begin above `address`. Signal-safe.
    [[nodiscard]] const Range* find_from(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE;

    /// Visits all ranges, lowest address first.
    template <typename Visit>
    void for_each(Visit visit) const {
        for (const Part& part : parts_) {
            for (const Range& range : *part.chunk) visit(range);
        }
    }

private:
    using Chunk = std::vector<Range>;  // 1 to kMostPerChunk ranges, sorted
    struct Part {
        std::uintptr_t end;  // of the chunk's last range
        std::shared_ptr<const Chunk> chunk;
    };
    static constexpr std::size_t kMostPerChunk = 128;

    [[nodiscard]] std::size_t part_of(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE;
    static Part part_from(Chunk&& ranges);

    std::vector<Part> parts_;
};

}  // namespace faultline::pager
