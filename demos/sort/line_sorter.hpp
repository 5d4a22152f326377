// LineSorter: std::sort in managed memory, arranged so that it hardly ever touches the text.
//
// A comparison of two lines that looks at the text costs two page faults when the text is larger than memory, and a
// sort of n lines makes n log n of them. So lines are compared by eight bytes that lie in the array itself (the cached
// keys of Ng and Kakehi's CRadix sort, 2007, here around std::sort):
//
//     1 sort all lines by their first eight bytes
//     2 the runs of lines that these do not tell apart get their next eight bytes, fetched in the order of the text
//     3 sort each of these runs; repeat from 2 until no run is left
//
// Each line's text is read once for each eight bytes it takes to tell it from its neighbours, in sweeps.
#pragma once

#include "sort/managed_array.hpp"
#include "sort/progress.hpp"
#include "sort/text.hpp"
#include "sort/visits.hpp"

#include <faultline/pager.hpp>
#include <faultline/region.hpp>

#include <cstdint>

namespace faultline::demo::sort {

/// Used by one thread, for one text.
class LineSorter {
public:
    LineSorter(Pager& pager, RegionOptions options, Text& text, Progress& progress);

    /// Puts the lines in the order of memcmp, a line before those that it begins.
    void sort();

private:
    /// Neighbours in the array whose first `depth_` bytes are the same.
    struct Run {
        std::uint64_t first = 0;
        std::uint64_t count = 0;
    };

    [[nodiscard]] std::uint64_t rest(const Line& line) const noexcept;
    [[nodiscard]] bool before(const Line& a, const Line& b);
    void fetch_keys(std::uint64_t tied);
    void fetch_batch();
    [[nodiscard]] std::uint64_t sort_runs(std::uint64_t tied);
    [[nodiscard]] std::uint64_t collect_ties(const Run& run);

    Text& text_;
    Progress& progress_;
    ManagedArray<Run> runs_;
    ManagedArray<Run> next_runs_;
    Visits visits_;
    std::uint64_t depth_ = 0;
};

}  // namespace faultline::demo::sort
