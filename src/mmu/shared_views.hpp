// SharedViews: the views that map pages of a pager's shared regions. A shared region has frames like any other, but no
// program uses it at its own addresses. Ranges elsewhere, its views, map its pages; one page may be in several views.
// The list is immutable: ViewRegistry publishes a new list for each change.
#pragma once

#include "core/address_range.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"

#include <faultline/types.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace faultline::mmu {

/// A range that maps pages of a shared region, starting with the page at `source`.
struct SharedView {
    core::AddressRange range;
    std::uintptr_t source = 0;
    Access access = Access::read_write;  ///< Used where mappings carry it (Mapper::maps_access_by_page).

    [[nodiscard]] std::uintptr_t source_end() const noexcept { return source + range.bytes(); }
    [[nodiscard]] std::uintptr_t source_of(std::uintptr_t address) const noexcept {
        return source + (address - range.begin);
    }
    /// Returns the part of the view in [begin, end), which must overlap it.
    [[nodiscard]] SharedView part(std::uintptr_t begin, std::uintptr_t end) const noexcept;
};

/// Removes [begin, end) from `views`, which may be in any order. Returns the removed parts.
[[nodiscard]] std::vector<SharedView> cut_out(std::vector<SharedView>& views, std::uintptr_t begin, std::uintptr_t end);

/// Returns the parts of the source that `view` maps and none of `others` maps.
[[nodiscard]] std::vector<core::AddressRange> seen_only_in(const SharedView& view,
                                                           const std::vector<SharedView>& others);

class SharedViews {
public:
    /// Throws std::bad_alloc.
    explicit SharedViews(std::vector<SharedView> views);

    [[nodiscard]] const std::vector<SharedView>& views() const noexcept { return views_; }  ///< Sorted by address.

    /// `at` returns the view at `address`, or null. `from` returns the first view that ends above `address`, or null.
    [[nodiscard]] const SharedView* at(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] const SharedView* from(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE;

    /// Calls `visit(view)` for the part of each view that maps pages of [source, source + bytes).
    template <typename Visit>
    void for_each_of(std::uintptr_t source, std::size_t bytes, Visit visit) const FAULTLINE_SIGNAL_SAFE {
        for (std::size_t i = first_reaching(source); i < by_source_.size(); ++i) {
            const SharedView& view = by_source_[i];
            if (view.source >= source + bytes) return;
            if (view.source_end() <= source) continue;
            const std::uintptr_t first = view.source > source ? view.source : source;
            const std::uintptr_t end = view.source_end() < source + bytes ? view.source_end() : source + bytes;
            const std::uintptr_t begin = view.range.begin + (first - view.source);
            visit(view.part(begin, begin + (end - first)));
        }
    }

private:
    [[nodiscard]] std::size_t first_reaching(std::uintptr_t source) const FAULTLINE_SIGNAL_SAFE;

    std::vector<SharedView> views_;           // sorted by address
    std::vector<SharedView> by_source_;       // sorted by source
    std::vector<std::uintptr_t> reached_by_;  // [i]: the highest source_end of by_source_[0..i]
};

}  // namespace faultline::mmu
