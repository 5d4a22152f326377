#include "heap/heap_pages.hpp"

#include "core/check.hpp"
#include "pager/region/region_map.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

namespace faultline::heap {

using core::PageRange;

namespace {

std::uint64_t pages_of(const pager::Region& region) noexcept {
    return (region.end() - region.begin()) >> core::kUnitShift;
}

}  // namespace

HeapPages::HeapPages(std::shared_ptr<pager::Pager> pager, std::size_t bytes)
    : pager_{*pager},
      region_{std::make_shared<pager::OwnedRegion>(std::move(pager), bytes, core::kUnitBytes)},
      base_{region().mapping().data()},
      bytes_{pages_of(region()) << core::kUnitShift},
      life_{pages_of(region())},
      span_of_page_{pages_of(region()), "which span a page of a heap belongs to"},
      spans_{static_cast<std::uint32_t>(pages_of(region())), "the spans of a heap"},
      runs_{pages_of(region()), region().begin() >> core::kUnitShift} {
    // Span number 0 stands for pages without a block: its one mark is never live.
    std::construct_at(&spans_[0])->marks = &spans_[0].own_mark;
    region().set_owner(&life_);
}

HeapPages::~HeapPages() {
    if (region_ == nullptr) return;
    pager::Region& region = region_->region();
    if (in_owner_process()) {  // in other children of fork the readers' threads do not exist
        region.set_owner(nullptr);
        pager::RegionMap::readers().synchronize();  // an evicting thread may ask life_ which pages are dead
    }
    region.users().leave(std::move(region_));
}

void HeapPages::destroy_region() {
    region_->destroy();
    region_.reset();
}

HeapPages::Owner HeapPages::owner_of(std::uint64_t page) noexcept {
    const std::lock_guard lock{mutex_};
    Span& span = span_at(page << core::kUnitShift);
    return {&span, span.kind, span.size_class, span.shard.load(std::memory_order_relaxed), span.pages};
}

Span* HeapPages::new_span(SizeClass size_class, Shard shard) noexcept {
    const ClassShape& its = shape(size_class);
    if (!room_for(its.span_pages)) return nullptr;
    const std::lock_guard lock{mutex_};
    const auto pages = take(Area::brk, its.span_pages, 1);
    if (!pages) return nullptr;
    Span& span = *spans_.take();  // never null: there are as many records as pages
    span.begin = pages->first << core::kUnitShift;
    span.kind = SpanKind::blocks;
    span.size_class = size_class;
    span.shard.store(shard, std::memory_order_relaxed);
    span.cached = static_cast<std::uint8_t>(its.cached);
    span.block_bytes = its.block_bytes;
    span.reciprocal = its.reciprocal;
    span.blocks = span.free_blocks = its.blocks;
    span.pages = *pages;
    set_span_of_pages(*pages, spans_.number_of(span));
    committed_pages_ += pages->count;
    return &span;
}

void HeapPages::free_span(Span& span) noexcept {
    const std::lock_guard lock{mutex_};
    set_span_of_pages(span.pages, 0);
    committed_pages_ -= span.pages.count;
    runs_.give(span.pages);
    span.kind = SpanKind::none;
    spans_.give(span);
}

Span* HeapPages::new_large(std::uint64_t pages, std::uint64_t alignment, std::uint64_t reserved) noexcept {
    if (!room_for(pages)) return nullptr;
    const std::lock_guard lock{mutex_};
    std::optional<PageRange> run;
    if (reserved > pages) run = take(Area::mappings, reserved, alignment);
    if (!run) {
        reserved = pages;
        run = take(Area::mappings, pages, alignment);
    }
    if (!run) return nullptr;
    Span& span = *spans_.take();
    span.begin = run->first << core::kUnitShift;
    span.kind = SpanKind::large;
    span.blocks = 1;
    span.marks = &span.own_mark;
    span.pages = {run->first, pages};
    span.reserved = reserved;
    set_span_of_pages({run->first, 1}, spans_.number_of(span));
    large_.insert(span);
    committed_pages_ += pages;
    large_pages_ += pages;
    reserved_pages_ += reserved - pages;
    return &span;
}

void HeapPages::free_large(Span& span) noexcept {
    const std::lock_guard lock{mutex_};
    set_span_of_pages({span.pages.first, 1}, 0);
    large_.erase(large_.iterator_to(span));
    committed_pages_ -= span.pages.count;
    large_pages_ -= span.pages.count;
    reserved_pages_ -= span.reserved - span.pages.count;
    runs_.give({span.pages.first, span.reserved});
    span.kind = SpanKind::none;
    spans_.give(span);
}

bool HeapPages::grow_large(Span& span, std::uint64_t pages) noexcept {
    const std::uint64_t more = pages - span.pages.count;
    if (!room_for(more)) return false;
    const std::lock_guard lock{mutex_};
    if (pages > span.reserved) {
        if (!runs_.take_at(span.pages.first + span.reserved, pages - span.reserved)) return false;
        reserved_pages_ += pages - span.reserved;
        span.reserved = pages;
    }
    span.pages.count = pages;
    committed_pages_ += more;
    large_pages_ += more;
    reserved_pages_ -= more;
    return true;
}

void HeapPages::shrink_large(Span& span, std::uint64_t pages) noexcept {
    const std::lock_guard lock{mutex_};
    const std::uint64_t fewer = span.pages.count - pages;
    runs_.give({span.pages.first + pages, span.reserved - pages});
    reserved_pages_ -= span.reserved - span.pages.count;
    committed_pages_ -= fewer;
    large_pages_ -= fewer;
    span.pages.count = span.reserved = pages;
}

const Span* HeapPages::large_around(std::uint64_t offset) const noexcept {
    const std::lock_guard lock{mutex_};
    const auto after = large_.upper_bound(offset);
    if (after == large_.begin()) return nullptr;
    const Span& span = *std::prev(after);
    return offset - span.begin < span.pages.count << core::kUnitShift ? &span : nullptr;
}

std::optional<PageRange> HeapPages::hold_run_around(std::uint64_t page) noexcept {
    const std::lock_guard lock{mutex_};
    return runs_.take_run_around(page);
}

std::optional<PageRange> HeapPages::hold_run_at_frontier(Area area) noexcept {
    const std::lock_guard lock{mutex_};
    return runs_.take_run_at_frontier(area);
}

PageRange HeapPages::hold_beyond_frontier(Area area, std::uint64_t most) noexcept {
    const std::lock_guard lock{mutex_};
    return runs_.take_beyond_frontier(area, most);
}

void HeapPages::release_run(PageRange run, bool fresh) noexcept {
    const std::lock_guard lock{mutex_};
    if (fresh) {
        runs_.give_fresh(run);
    } else {
        runs_.give(run);
    }
}

HeapPages::Figures HeapPages::figures() noexcept {
    const std::lock_guard lock{mutex_};
    const auto in_bytes = [](std::uint64_t pages) { return pages << core::kUnitShift; };
    return {in_bytes(runs_.break_page()),
            in_bytes(runs_.pages() - runs_.floor_page()),
            in_bytes(runs_.free_in(Area::brk)),
            in_bytes(runs_.free_in(Area::mappings)),
            large_.size(),
            in_bytes(large_pages_),
            in_bytes(reserved_pages_)};
}

std::pair<std::uint64_t, std::uint64_t> HeapPages::frontiers() noexcept {
    const std::lock_guard lock{mutex_};
    return {runs_.break_page(), runs_.floor_page()};
}

std::optional<PageRange> HeapPages::take(Area area, std::uint64_t pages, std::uint64_t alignment) {
    if (const auto run = runs_.take(area, pages, alignment)) return run;
    if (reserved_pages_ == 0) return std::nullopt;
    release_reserves();
    return runs_.take(area, pages, alignment);
}

/// Takes back the pages that large blocks keep to grow into.
void HeapPages::release_reserves() noexcept {
    for (Span& span : large_) {
        runs_.give({span.pages.first + span.pages.count, span.reserved - span.pages.count});
        span.reserved = span.pages.count;
    }
    reserved_pages_ = 0;
}

/// Returns whether memory and store could hold `pages` more pages if the program touched all it has allocated. Asks the
/// store again after part of its last answer was handed out. Call without the lock: asking is a system call.
bool HeapPages::room_for(std::uint64_t pages) noexcept {
    const std::uint64_t committed = committed_pages_.load(std::memory_order_relaxed);
    if (committed + pages <= next_room_check_at_.load(std::memory_order_relaxed)) return true;
    constexpr std::uint64_t kMostAtOnce = (std::uint64_t{64} << 20) >> core::kUnitShift;
    const std::uint64_t room = pager_.limit().room_for(region(), committed << core::kUnitShift) >> core::kUnitShift;
    if (pages > room) return false;
    next_room_check_at_.store(committed + std::max(pages, std::min(room / 8, kMostAtOnce)), std::memory_order_relaxed);
    return true;
}

void HeapPages::set_span_of_pages(PageRange pages, std::uint32_t span) noexcept {
    for (std::uint64_t page = pages.first; page < pages.end(); ++page) {
        span_of_page_[page].store(span, std::memory_order_relaxed);
    }
}

}  // namespace faultline::heap
