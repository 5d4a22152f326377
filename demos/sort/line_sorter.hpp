// LineSorter: sorts lines with std::sort in managed memory, and hardly ever touches the text. sort_file calls it.
//
// A comparison that reads the text of two lines costs two page faults if the text is larger than memory, and a sort of
// n lines makes n log n comparisons. So it compares eight bytes of each line, which lie in the array itself (the cached
// keys of Ng and Kakehi's CRadix sort, 2007, used here with std::sort):
//
//     1 sort all lines by their first eight bytes
//     2 for each run of lines with equal keys, fetch the next eight bytes, in the order of the text
//     3 sort each of these runs; repeat from 2 until no run is left
//
// Each sweep over the text reads eight more bytes of those lines that are still equal to a neighbour.
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

    /// Sorts the lines in memcmp order; a line comes before the lines that it is a prefix of.
    void sort();

private:
    /// Neighbours in the array whose first `depth_` bytes are equal.
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
