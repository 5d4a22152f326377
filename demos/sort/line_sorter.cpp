#include "sort/line_sorter.hpp"

#include "sort/lines.hpp"
#include "sort/progress.hpp"
#include "sort/text.hpp"
#include "support/interrupt.hpp"

#include <faultline/pager.hpp>
#include <faultline/region.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace faultline::demo::sort {

LineSorter::LineSorter(Pager& pager, RegionOptions options, Text& text, Progress& progress)
    : text_{text},
      progress_{progress},
      runs_{pager, options, text.lines.size() / 2 + 1},
      next_runs_{pager, options, text.lines.size() / 2 + 1},
      visits_{pager, options} {}

void LineSorter::sort() {
    if (text_.lines.empty()) return;
    runs_.push_back({0, text_.lines.size()});
    std::uint64_t tied = text_.lines.size();
    for (depth_ = 0; tied > 0; depth_ += kKeyBytes) {
        if (depth_ > 0) fetch_keys(tied);
        tied = sort_runs(tied);
    }
}

/// Returns the number of bytes of the line behind `depth_`. Values above the key size are equivalent.
std::uint64_t LineSorter::rest(const Line& line) const noexcept {
    return std::min(text_.lengths.length(line.place) - depth_, kKeyBytes + 1);
}

/// For equal keys the line with the shorter rest comes first: "a" before "a\0", whose keys are equal. The last
/// criterion is the place, so that a run is in the order of the text.
bool LineSorter::before(const Line& a, const Line& b) {
    progress_.advance();
    if (a.key != b.key) return a.key < b.key;
    const std::uint64_t rest_of_a = rest(a);
    const std::uint64_t rest_of_b = rest(b);
    return rest_of_a != rest_of_b ? rest_of_a < rest_of_b : a.place < b.place;
}

void LineSorter::fetch_keys(std::uint64_t tied) {
    progress_.begin("ties", tied);
    for (const Run& run : runs_) {
        for (std::uint64_t i = run.first; i < run.first + run.count; ++i) {
            if (visits_.full()) fetch_batch();
            visits_.add(text_.lines[i].place, i);
            progress_.advance();
        }
    }
    fetch_batch();
}

void LineSorter::fetch_batch() {
    visits_.make([this](std::uint64_t place, std::uint64_t index) {
        throw_if_interrupted();
        const std::uint64_t left = text_.lengths.length(place) - depth_;
        text_.lines[index].key = key_of(text_.at(LineLengths::offset(place) + depth_), left);
    });
}

/// Sorts each run by its keys, and keeps the runs that are still tied. Returns the number of their lines.
std::uint64_t LineSorter::sort_runs(std::uint64_t tied) {
    const auto lines = static_cast<double>(tied);
    progress_.begin("sort", static_cast<std::uint64_t>(lines * std::max(std::log2(lines), 1.0)));
    std::uint64_t still_tied = 0;
    for (const Run& run : runs_) {
        Line* const first = text_.lines.begin() + run.first;
        std::sort(first, first + run.count, [this](const Line& a, const Line& b) { return before(a, b); });
        still_tied += collect_ties(run);
    }
    runs_.swap(next_runs_);
    next_runs_.clear();
    return still_tied;
}

std::uint64_t LineSorter::collect_ties(const Run& run) {
    std::uint64_t tied = 0;
    const std::uint64_t end = run.first + run.count;
    for (std::uint64_t first = run.first, next = first; first < end; first = next) {
        const Line line = text_.lines[first];
        for (next = first + 1; next < end && text_.lines[next].key == line.key;) ++next;
        // Lines that end within the key differ in length or are equal. They come before the other lines.
        while (first < next && rest(text_.lines[first]) <= kKeyBytes) ++first;
        if (next - first < 2) continue;
        next_runs_.push_back({first, next - first});
        tied += next - first;
    }
    return tied;
}

}  // namespace faultline::demo::sort
