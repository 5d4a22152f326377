#include "heap/page_runs.hpp"

#include "core/check.hpp"
#include "core/units.hpp"

#include <algorithm>
#include <iterator>

namespace faultline::heap {

using core::PageRange;

PageRuns::PageRuns(std::uint64_t pages, std::uint64_t origin)
    : pages_{pages},
      origin_{origin},
      floor_{pages},
      // Between two free runs there is at least one page that is not free.
      records_{static_cast<std::uint32_t>(pages / 2 + 1), "the free pages of a heap"} {}

std::optional<PageRange> PageRuns::take(Area area, std::uint64_t count, std::uint64_t alignment) {
    if (count == 0 || count > pages_) return std::nullopt;
    if (const auto found = take_free(area, count, alignment)) return found;
    const auto grown = area == Area::brk ? take_at_break(count, alignment) : take_at_floor(count, alignment);
    if (grown) return grown;
    return take_free(area == Area::brk ? Area::mappings : Area::brk, count, alignment);
}

/// Returns the first page from `run.first` on at a multiple of `alignment` in the address space. It may lie beyond the
/// run.
std::uint64_t PageRuns::aligned_in(PageRange run, std::uint64_t alignment) const noexcept {
    return core::align_up(origin_ + run.first, alignment) - origin_;
}

std::optional<PageRange> PageRuns::take_free(Area area, std::uint64_t count, std::uint64_t alignment) {
    const auto try_run = [&](Run& run) -> std::optional<PageRange> {
        const PageRange taken{aligned_in(run.range, alignment), count};
        if (taken.end() > run.range.end()) return std::nullopt;
        cut(remove(run), taken);
        return taken;
    };
    LengthSet& runs = by_length_[index(area)];
    // Try a few runs that may fit by luck, then one that is long enough for any alignment.
    int attempts = alignment == 1 ? 1 : 16;
    for (auto run = runs.lower_bound({count, 0}); run != runs.end() && attempts > 0; --attempts) {
        if (const auto taken = try_run(*run++)) return taken;
    }
    if (alignment == 1) return std::nullopt;
    const auto run = runs.lower_bound({count + alignment - 1, 0});
    return run == runs.end() ? std::nullopt : try_run(*run);
}

std::optional<PageRange> PageRuns::take_at_break(std::uint64_t count, std::uint64_t alignment) {
    // Use the free pages just below the break, too.
    Run* const last = break_ == 0 ? nullptr : around(break_ - 1);
    const std::uint64_t begin = last != nullptr ? last->range.first : break_;
    const PageRange taken{aligned_in({begin, 0}, alignment), count};
    if (taken.end() > floor_ || taken.first > floor_) return std::nullopt;
    if (last != nullptr) remove(*last);
    break_ = std::max(break_, taken.end());
    cut({begin, break_ - begin}, taken);
    return taken;
}

std::optional<PageRange> PageRuns::take_at_floor(std::uint64_t count, std::uint64_t alignment) {
    Run* const first = around(floor_);
    const std::uint64_t end = first != nullptr ? first->range.end() : floor_;
    if (count > end) return std::nullopt;
    const std::uint64_t begin = core::align_down(origin_ + end - count, alignment);
    if (begin < origin_ + break_) return std::nullopt;
    const PageRange taken{begin - origin_, count};
    if (first != nullptr) remove(*first);
    floor_ = std::min(floor_, taken.first);
    cut({floor_, end - floor_}, taken);
    return taken;
}

/// Gives back the parts of `from` before and after `taken`.
void PageRuns::cut(PageRange from, PageRange taken) {
    if (taken.first > from.first) insert({from.first, taken.first - from.first});
    if (from.end() > taken.end()) insert({taken.end(), from.end() - taken.end()});
}

bool PageRuns::take_at(std::uint64_t first, std::uint64_t count) {
    const PageRange wanted{first, count};
    Run* const run = around(first);
    if (run != nullptr && run->range.end() >= wanted.end()) {
        cut(remove(*run), wanted);
        return true;
    }
    const std::uint64_t known_end = run != nullptr ? run->range.end() : first;
    // Only the break grows upward.
    if (known_end != break_ || wanted.end() > floor_) return false;
    if (run != nullptr) cut(remove(*run), {first, break_ - first});
    break_ = wanted.end();
    return true;
}

void PageRuns::give(PageRange pages) {
    if (pages.count > 0) insert(pages);
}

std::optional<PageRange> PageRuns::take_run_around(std::uint64_t page) {
    Run* const run = around(page);
    return run == nullptr ? std::nullopt : std::optional{remove(*run)};
}

std::optional<PageRange> PageRuns::take_run_at_frontier(Area area) {
    if (area == Area::brk) return break_ == 0 ? std::nullopt : take_run_around(break_ - 1);
    return floor_ == pages_ ? std::nullopt : take_run_around(floor_);
}

PageRange PageRuns::take_beyond_frontier(Area area, std::uint64_t most) {
    const std::uint64_t count = std::min(most, floor_ - break_);
    if (area == Area::brk) {
        break_ += count;
        return {break_ - count, count};
    }
    floor_ -= count;
    return {floor_, count};
}

void PageRuns::give_fresh(PageRange pages) {
    if (pages.count == 0) return;
    if (pages.end() == break_) {
        break_ = pages.first;
    } else if (pages.first == floor_) {
        floor_ = pages.end();
    } else {
        insert(pages);
    }
}

PageRuns::Run* PageRuns::around(std::uint64_t page) noexcept {
    auto after = by_address_.upper_bound(page);
    if (after == by_address_.begin()) return nullptr;
    Run& run = *std::prev(after);
    return page < run.range.end() ? &run : nullptr;
}

/// Adds a free run, joined with free neighbours of the same area.
void PageRuns::insert(PageRange range) {
    const Area area = area_of(range.first);
    auto after = by_address_.lower_bound(range.first);
    if (after != by_address_.begin()) {
        Run& before = *std::prev(after);
        FAULTLINE_INVARIANT(before.range.end() <= range.first);
        if (before.range.end() == range.first && area_of(before.range.first) == area) {
            range = {before.range.first, before.range.count + range.count};
            remove(before);
        }
    }
    if (after != by_address_.end()) {
        FAULTLINE_INVARIANT(range.end() <= after->range.first);
        if (after->range.first == range.end() && area_of(after->range.first) == area) {
            range.count += after->range.count;
            remove(*after);
        }
    }
    Run* const run = records_.take();
    FAULTLINE_REQUIRE(run != nullptr, "a heap has more free runs than pages");
    run->range = range;
    by_address_.insert(*run);
    by_length_[index(area)].insert(*run);
    free_[index(area)] += range.count;
}

PageRange PageRuns::remove(Run& run) noexcept {
    const PageRange range = run.range;
    const Area area = area_of(range.first);
    by_address_.erase(by_address_.iterator_to(run));
    by_length_[index(area)].erase(by_length_[index(area)].iterator_to(run));
    free_[index(area)] -= range.count;
    records_.give(run);
    return range;
}

}  // namespace faultline::heap
