// Arena: one range of addresses of a space, reserved as a region with gaps. Addresses in, pages out: it opens and
// closes what Space says, and knows nothing of segments.
#pragma once

#include "core/page_range.hpp"
#include "pager/pager.hpp"
#include "space/segment_index.hpp"
#include "space/segment_store.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::space {

/// Throws as Pager does. The caller serialises.
class Arena {
public:
    /// Reserves `bytes` at `address` (0: anywhere) for `owner`, whose segments `index` shows. All must outlive the
    /// arena.
    Arena(detail::Pager& pager, const detail::RegionOwner& owner, const sys::Published<SegmentIndex>& index,
          std::uintptr_t address, std::size_t bytes);
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    [[nodiscard]] AddressRange range() const noexcept { return {region_.begin(), region_.end()}; }
    [[nodiscard]] detail::Region& region() const noexcept { return region_; }
    [[nodiscard]] SegmentStore& store() const noexcept { return *store_; }
    /// Where in this arena what `other`, which is as large, has at `address`.
    [[nodiscard]] std::uintptr_t counterpart(const Arena& other, std::uintptr_t address) const noexcept {
        return range().begin + (address - other.range().begin);
    }
    [[nodiscard]] core::PageRange pages_of(AddressRange range) const noexcept;

    /// Lets the program use a closed range. `in_file`: the index says of which file its pages are. When it throws, what
    /// has been done is to be closed, when the index does not name the file any more.
    void open(AddressRange range, Access access, bool in_file);
    void close(AddressRange range) { pager_.gaps().close(region_, pages_of(range)); }
    void protect(AddressRange range, Access access) { pager_.protector().protect(region_, pages_of(range), access); }

private:
    detail::Pager& pager_;
    SegmentStore* store_ = nullptr;  // the region's
    detail::Region& region_;
};

}  // namespace faultline::space
