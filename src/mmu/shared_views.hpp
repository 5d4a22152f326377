// SharedViews: at which addresses the pages of shared regions are seen. Such a region has frames like any other, but no
// program uses it at its own addresses: ranges elsewhere, its views, show its pages, each page perhaps in several. A
// list never changes: ViewRegistry publishes a new one for each view that comes or goes.
#pragma once

#include "core/signal_safe.hpp"
#include "core/units.hpp"

#include <faultline/types.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace faultline::mmu {

/// The addresses [begin, end), whole pages of 4 KiB.
struct AddressSpan {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    [[nodiscard]] std::size_t bytes() const noexcept { return end - begin; }
    [[nodiscard]] bool contains(std::uintptr_t address) const noexcept { return address >= begin && address < end; }
};

/// A range that shows pages of a shared region, from the one at `source` on.
struct SharedView {
    AddressSpan range;
    std::uintptr_t source = 0;
    Access access = Access::read_write;  ///< Where the MMU does not know it (Mapper::checks_access).

    [[nodiscard]] std::uintptr_t source_end() const noexcept { return source + range.bytes(); }
    [[nodiscard]] std::uintptr_t source_of(std::uintptr_t address) const noexcept {
        return source + (address - range.begin);
    }
    /// The part in [begin, end), which it touches.
    [[nodiscard]] SharedView part(std::uintptr_t begin, std::uintptr_t end) const noexcept;
};

/// Of views in any order: takes [begin, end) out, and returns what was there.
[[nodiscard]] std::vector<SharedView> cut_out(std::vector<SharedView>& views, std::uintptr_t begin, std::uintptr_t end);

/// The parts of the pages that `view` shows which none of `others` does.
[[nodiscard]] std::vector<AddressSpan> seen_only_in(const SharedView& view, const std::vector<SharedView>& others);

class SharedViews {
public:
    /// Throws std::bad_alloc.
    SharedViews(std::vector<AddressSpan> regions, std::vector<SharedView> views);

    [[nodiscard]] const std::vector<AddressSpan>& regions() const noexcept { return regions_; }
    [[nodiscard]] const std::vector<SharedView>& views() const noexcept { return views_; }  ///< By address.

    /// Whether a shared region is at `address`.
    [[nodiscard]] bool is_shared(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE;

    /// The view at `address`, or null; and the first one that ends above it.
    [[nodiscard]] const SharedView* at(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] const SharedView* from(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE;

    /// Calls `visit(view)` for the part of each view that shows pages of [source, source + bytes).
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

    std::vector<AddressSpan> regions_;        // by address
    std::vector<SharedView> views_;           // by address
    std::vector<SharedView> by_source_;       // by what they show
    std::vector<std::uintptr_t> reached_by_;  // how far those up to each one show
};

}  // namespace faultline::mmu
