// Visits: a batch of places in the text that somebody wants to look at in some other order, and may as well look at in
// the order of the text. One sweep over the text then serves thousands of lines, where a jump to each of them would
// cost each a fault.
#pragma once

#include "sort/lines.hpp"
#include "sort/managed_array.hpp"

#include <faultline/pager.hpp>
#include <faultline/region.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace faultline::demo::sort {

/// A quarter of the resident limit: what each batch may take, so that the text and whatever else is in use stay in too.
inline std::size_t batch_bytes(const Pager& pager, std::size_t page_size) {
    return std::max(pager.resident_limit() / 4 / page_size, std::size_t{1}) * page_size;
}

/// Used by one thread.
class Visits {
public:
    Visits(Pager& pager, RegionOptions options)
        : visits_{pager, options, batch_bytes(pager, options.page_size) / sizeof(Visit)} {}

    [[nodiscard]] bool full() const noexcept { return visits_.full(); }

    /// Remembers a line to visit, and what for.
    void add(std::uint64_t place, std::uint64_t purpose) { visits_.push_back({place, purpose}); }

    /// Calls `visit(place, purpose)` for all that were added, in the order of the text, and forgets them.
    template <typename Function>
    void make(Function visit) {
        std::sort(visits_.begin(), visits_.end(), [](const Visit& a, const Visit& b) { return a.place < b.place; });
        for (const Visit& next : visits_) visit(next.place, next.purpose);
        visits_.clear();
    }

private:
    struct Visit {
        std::uint64_t place = 0;
        std::uint64_t purpose = 0;
    };

    ManagedArray<Visit> visits_;
};

}  // namespace faultline::demo::sort
