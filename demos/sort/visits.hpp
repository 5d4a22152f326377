// Visits: a batch of places in the text that the caller needs in some order, but can visit in the order of the text.
// One sweep then serves thousands of lines; a jump to each would cost a fault each. LineSorter and LineWriter use it.
#pragma once

#include "sort/lines.hpp"
#include "sort/managed_array.hpp"

#include <faultline/pager.hpp>
#include <faultline/region.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace faultline::demo::sort {

/// A batch takes at most a quarter of the resident limit, so that the text and other data stay resident, too.
inline std::size_t batch_bytes(const Pager& pager, std::size_t page_size) {
    return std::max(pager.resident_limit() / 4 / page_size, std::size_t{1}) * page_size;
}

/// Used by one thread.
class Visits {
public:
    Visits(Pager& pager, RegionOptions options)
        : visits_{pager, options, batch_bytes(pager, options.page_size) / sizeof(Visit)} {}

    [[nodiscard]] bool full() const noexcept { return visits_.full(); }

    /// Adds a place to visit, and the purpose of the visit.
    void add(std::uint64_t place, std::uint64_t purpose) { visits_.push_back({place, purpose}); }

    /// Calls `visit(place, purpose)` for each place added, in the order of the text, and removes them.
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
