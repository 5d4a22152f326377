// The pager's part of shared regions: their views come and go. Between the list of views that faults go by and what the
// mapper has laid where, the order is: laid first, then listed; unlisted, and seen by nobody any more, then taken away.

#include "core/check.hpp"
#include "pager/fault_path_section.hpp"
#include "pager/pager.hpp"
#include "pager/region_tree.hpp"
#include "store/write_queue.hpp"
#include "sys/error.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

namespace faultline::detail {

using core::PageRange;
using core::PageState;
using core::PageWord;
using mmu::AddressSpan;
using mmu::SharedView;
using mmu::SharedViews;

namespace {

constexpr int kTimesWritten = 4;  // while others write

[[noreturn]] void refuse(int error, const char* what, std::size_t bytes) {
    sys::throw_error(error, std::string("cannot ") + what + " " + sys::readable_bytes(bytes) + " of a shared file" +
                                (error == ENOMEM ? "; raise `sysctl vm.max_map_count`" : ""));
}

AddressSpan span_of(const Region& region, PageRange range) noexcept {
    const std::uintptr_t begin = core::address_of(region.address_of(range.first));
    return {begin, begin + region.offset_of(range.count)};
}

PageRange pages_in(const Region& region, AddressSpan span) noexcept {
    return {region.page_of(span.begin), span.bytes() / region.page_bytes()};
}

}  // namespace

bool Pager::can_share() {
    require_owner_process();
    const std::lock_guard lock{control_};
    return mapper_.prepare_views();
}

void Pager::change_views(const EditViews& edit) {
    const std::lock_guard lock{changing_views_};
    std::vector<AddressSpan> regions;
    std::vector<SharedView> views;
    if (const SharedViews* const before = mapper_.views()) {
        regions = before->regions();
        views = before->views();
    }
    edit(regions, views);
    std::unique_ptr<const SharedViews> next;
    if (!regions.empty()) next = std::make_unique<const SharedViews>(std::move(regions), std::move(views));
    const std::unique_ptr<const SharedViews> old{mapper_.exchange_views(next.release())};
    RegionTree::readers().synchronize();
}

void Pager::forget_shared(const Region& region) {
    change_views([&](auto& regions, auto&) {
        std::erase_if(regions, [&](const AddressSpan& span) { return span.begin == region.begin(); });
    });
}

// ---- views come

void Pager::map_view(Region& region, PageRange range, Region& shared, std::uint64_t first, Access access) {
    require_owner_process();
    const std::lock_guard lock{region.protecting()};
    const AddressSpan span = span_of(region, range);
    std::byte* const address = region.address_of(range.first);
    const SharedView view{span, core::address_of(shared.address_of(first)), access};
    if (const int error = mapper_.map_view(address, span.bytes(), shared.address_of(first))) {
        refuse(error, "map", span.bytes());
    }
    try {
        set_protection(region, range, access);
        change_views([&](auto&, auto& views) { views.push_back(view); });
        // What is not in memory is in the file, which others may have changed; what could not be read is tried again.
        const PageRange pages{first, range.count};
        expect_in_store(shared, pages);
        retry(shared, pages);
        if (mapper_.checks_access()) {
            if (const int error = mapper_.set_access(address, span.bytes(), access)) refuse(error, "map", span.bytes());
        }
    } catch (...) {
        take_views(region, range);
        const int undone = mapper_.unmap_view(address, span.bytes());
        FAULTLINE_REQUIRE(undone == 0, "a view of a shared file cannot be taken away: raise `sysctl vm.max_map_count`");
        set_protection(region, range, Access::read_write);
        throw;
    }
}

// ---- views go

/// No fault finds a view in the range any more.
void Pager::take_views(const Region& region, PageRange range) {
    if (mapper_.views() == nullptr) return;
    const AddressSpan span = span_of(region, range);
    change_views([&](auto&, auto& views) { static_cast<void>(mmu::cut_out(views, span.begin, span.end)); });
}

void Pager::unmap_views(Region& region, PageRange range, Access access) {
    require_owner_process();
    const std::lock_guard lock{region.protecting()};
    const AddressSpan span = span_of(region, range);
    close_views(region, range);
    std::vector<AddressSpan> alone;
    try {
        if (any_pinned(region, range)) sys::throw_error(EBUSY, "pages of the range are pinned");
        std::vector<SharedView> others = all_views();
        const std::vector<SharedView> gone = mmu::cut_out(others, span.begin, span.end);
        for (const SharedView& view : gone) {
            const std::vector<AddressSpan> parts = mmu::seen_only_in(view, others);
            alone.insert(alone.end(), parts.begin(), parts.end());
        }
        for (const AddressSpan& part : alone) {
            Region& shared = *RegionTree::find(part.begin);
            const int error = write_out(shared, pages_in(shared, part));
            if (error != 0 || any_unwritten(shared, pages_in(shared, part))) {
                sys::throw_error(EIO, "cannot unmap what is shared of a file: not all of it could be written there");
            }
        }
        take_views(region, range);
        if (const int error = mapper_.unmap_view(region.address_of(range.first), span.bytes())) {
            change_views([&](auto&, auto& views) { views.insert(views.end(), gone.begin(), gone.end()); });
            refuse(error, "unmap", span.bytes());
        }
    } catch (...) {
        set_protection(region, range, access);
        // As it was a moment ago, so that it takes no more mappings than then.
        if (mapper_.checks_access()) {
            static_cast<void>(mapper_.set_access(region.address_of(range.first), span.bytes(), access));
        }
        throw;
    }
    set_protection(region, range, Access::read_write);
    for (const AddressSpan& part : alone) {
        Region& shared = *RegionTree::find(part.begin);
        discard(shared, pages_in(shared, part), DiskSpace::keep);
    }
}

/// Nobody gets at what the views show any more. Throws ENOMEM, and then all is as before.
void Pager::close_views(Region& region, PageRange range) {
    const std::size_t bytes = region.offset_of(range.count);
    if (mapper_.checks_access()) {
        const int error = mapper_.set_access(region.address_of(range.first), bytes, Access::none);
        if (error != 0) refuse(error, "unmap", bytes);
    }
    set_protection(region, range, Access::none);
    RegionTree::readers().synchronize();  // a fault that was allowed has ended
}

bool Pager::any_pinned(const Region& region, PageRange range) {
    bool pinned = false;
    region.table().for_each_touched(range, [&](std::uint64_t page) { pinned |= region.load(page).pins() > 0; });
    return pinned;
}

// ---- what they show

/// Where the MMU does not check access by itself.
void Pager::set_access_of_views(Region& region, PageRange range, Access access) {
    if (mapper_.views() == nullptr) return;
    const AddressSpan span = span_of(region, range);
    std::vector<SharedView> changed;
    change_views([&](auto&, auto& views) {
        changed = mmu::cut_out(views, span.begin, span.end);
        for (SharedView& view : changed) view.access = access;
        views.insert(views.end(), changed.begin(), changed.end());
    });
    for (const SharedView& view : changed) {
        Region& shared = *RegionTree::find(view.source);
        show_again(shared, pages_in(shared, {view.source, view.source_end()}));
    }
}

/// What is mapped is seen in each view as its access is now.
void Pager::show_again(Region& shared, PageRange range) {
    const FaultPathSection section;
    shared.table().for_each_touched(range, [&](std::uint64_t page) {
        const auto was = shared.claim_settled(page, [](PageWord word) {
            return word.is(PageState::resident) ? std::optional{word.claimed_for_change()} : std::nullopt;
        });
        if (!was) return;
        const auto protection = mmu::shown_for(Access::read_write, was->dirty());
        const int error = filler_.with_room(
            [&] { return mapper_.restore(shared.address_of(page), shared.page_bytes(), protection); });
        FAULTLINE_REQUIRE(error == 0, "a page's protection cannot be changed: raise `sysctl vm.max_map_count`");
        shared.publish(page, [](PageWord word) { return word.filled(word.payload(), word.dirty()); });
    });
}

std::vector<SharedView> Pager::all_views() const {
    const std::lock_guard lock{changing_views_};
    const SharedViews* const views = mapper_.views();
    return views == nullptr ? std::vector<SharedView>{} : views->views();
}

std::vector<Pager::Run> Pager::runs_of(Region& region, PageRange range) const {
    std::vector<Run> runs;
    const AddressSpan span = span_of(region, range);
    std::uintptr_t next = span.begin;
    const auto add = [&](Region& owner, std::uintptr_t where, std::uintptr_t end) {
        if (end > next) runs.push_back({&owner, pages_in(owner, {where, where + (end - next)}), next});
        next = std::max(next, end);
    };
    const std::lock_guard lock{changing_views_};
    const SharedViews* const views = mapper_.views();
    while (next < span.end) {
        const SharedView* const view = views == nullptr ? nullptr : views->from(next);
        if (view == nullptr || view->range.begin >= span.end) break;
        add(region, next, view->range.begin);
        add(*RegionTree::find(view->source), view->source_of(next), std::min(view->range.end, span.end));
    }
    add(region, next, span.end);
    return runs;
}

// ---- what is in them

bool Pager::any_unwritten(const Region& region, PageRange range) {
    bool unwritten = false;
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        const PageWord word = region.load(page);
        unwritten |= word.dirty() || word.writing();
    });
    return unwritten;
}

int Pager::write_out(Region& region, PageRange range) {
    require_owner_process();
    store::SequentialWriteQueue queue;
    int error = 0;
    bool held = false;
    for (int times = 0; times < kTimesWritten; ++times) {
        const Reclaimed evicted = evict_now(region, range);
        held = evicted.refused;
        if (!any_unwritten(region, range)) return 0;
        {
            // What others have taken off the view is in the zone, or in their hands.
            const FaultPathSection section;
            error = evictor_.settle_all(queue);
            if (error == 0) error = evicted.write_error;
        }
        RegionTree::readers().synchronize();
        if (!any_unwritten(region, range)) return 0;
    }
    if (error != 0) return error;
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        const PageWord word = region.load(page);
        held |= word.dirty() && word.pins() > 0;
    });
    return held ? EBUSY : 0;  // what is left is newer than the call
}

}  // namespace faultline::detail
