// Arena: one range of a space's addresses, reserved as a region with gaps. A space has two: image and heap in the low
// one, mappings and stack in the high one. It converts addresses to pages, and opens, closes and protects ranges for
// MappedSegments. It does not know segments.
#pragma once

#include "core/page_range.hpp"
#include "pager/pager.hpp"
#include "space/segment_index.hpp"
#include "space/segment_store.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::space {

/// Not thread-safe: Space serialises the calls. Throws what Pager throws.
class Arena {
public:
    /// Reserves `bytes` at `address` (0: anywhere) for `owner`. `index` is the owner's segment index. Pager, owner and
    /// index must outlive the arena.
    Arena(pager::Pager& pager, const pager::RegionOwner& owner, const sys::Published<SegmentIndex>& index,
          std::uintptr_t address, std::size_t bytes);
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    [[nodiscard]] AddressRange range() const noexcept { return {region_.begin(), region_.end()}; }
    [[nodiscard]] pager::Region& region() const noexcept { return region_; }
    [[nodiscard]] SegmentStore& store() const noexcept { return *store_; }
    /// Returns the address here that corresponds to `address` in `other`, an arena of the same size.
    [[nodiscard]] std::uintptr_t counterpart(const Arena& other, std::uintptr_t address) const noexcept {
        return range().begin + (address - other.range().begin);
    }
    [[nodiscard]] core::PageRange pages_of(AddressRange range) const noexcept;

    /// Makes a closed range accessible. `in_file`: the range's pages come from a file, which the index names already.
    /// If it throws, the caller removes the file from the index, then closes the range.
    void open(AddressRange range, Access access, bool in_file);
    void close(AddressRange range) { pager_.gaps().close(region_, pages_of(range)); }
    void protect(AddressRange range, Access access) { pager_.protector().protect(region_, pages_of(range), access); }

private:
    pager::Pager& pager_;
    SegmentStore* store_ = nullptr;  // owned by the region
    pager::Region& region_;
};

}  // namespace faultline::space
