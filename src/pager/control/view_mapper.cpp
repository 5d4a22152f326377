#include "pager/control/view_mapper.hpp"

#include "core/check.hpp"
#include "pager/control/protector.hpp"
#include "pager/control/range_errors.hpp"
#include "pager/control/remap_resident.hpp"
#include "pager/region/fault_path_section.hpp"
#include "pager/region/range_pieces.hpp"
#include "pager/region/region_map.hpp"
#include "store/write_queue.hpp"
#include "sys/error.hpp"
#include "sys/mapping_limit.hpp"

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <optional>
#include <string>

namespace faultline::pager {

using core::AddressRange;
using core::PageRange;
using core::PageState;
using core::PageWord;
using mmu::SharedView;
using mmu::SharedViews;

namespace {

constexpr int kMostWriteRounds = 4;  // while the program writes

[[noreturn]] void refuse(int error, const char* what, std::size_t bytes) {
    refuse_range(error, what, bytes, " of a shared file");
}

AddressRange span_of(const Region& region, PageRange range) noexcept {
    const std::uintptr_t begin = core::address_of(region.address_of(range.first));
    return {begin, begin + region.offset_of(range.count)};
}

PageRange pages_in(const Region& region, AddressRange span) noexcept {
    return {region.page_of(span.begin), span.bytes() / region.page_bytes()};
}

bool any_unwritten(const Region& region, PageRange range) {
    bool unwritten = false;
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        const PageWord word = region.load(page);
        unwritten |= word.dirty() || word.writing();
    });
    return unwritten;
}

}  // namespace

bool ViewMapper::can_share() {
    core_.require_owner_process();
    const std::lock_guard lock{core_.control};
    return core_.mappers.prepare_views();
}

// ---- map

void ViewMapper::map(Region& region, PageRange range, Region& shared, std::uint64_t first, Access access) {
    core_.require_owner_process();
    const std::lock_guard lock{region.protecting()};
    const AddressRange span = span_of(region, range);
    std::byte* const address = region.address_of(range.first);
    const SharedView view{span, core::address_of(shared.address_of(first)), access};
    if (const int error = core_.mappers.map_view(address, span.bytes(), shared.address_of(first))) {
        refuse(error, "map", span.bytes());
    }
    try {
        set_protection(region, range, access);
        core_.views.add({view});
        // Absent pages are in the file, which other processes may have changed. Failed reads are tried again.
        const PageRange pages{first, range.count};
        discarder_.expect_in_store(shared, pages);
        advice_.retry(shared, pages);
        if (const int error = region.mapper().set_access(address, span.bytes(), access)) {
            refuse(error, "map", span.bytes());
        }
    } catch (...) {
        forget(region, range);
        const int undone = core_.mappers.unmap_view(address, span.bytes());
        FAULTLINE_REQUIRE_MAPPED(undone, "a view of a shared file cannot be taken away");
        set_protection(region, range, Access::read_write);
        throw;
    }
}

// ---- unmap

void ViewMapper::forget(const Region& region, PageRange range) { core_.views.remove(span_of(region, range)); }

void ViewMapper::unmap(Region& region, PageRange range, Access access) {
    core_.require_owner_process();
    const std::lock_guard lock{region.protecting()};
    const AddressRange span = span_of(region, range);
    close(region, range);
    std::vector<AddressRange> unseen;
    try {
        if (any_pinned(region, range)) sys::throw_error(EBUSY, "pages of the range are pinned");
        unseen = write_pages_seen_only_in(span);
        const std::vector<SharedView> gone = core_.views.remove(span);
        if (const int error = core_.mappers.unmap_view(region.address_of(range.first), span.bytes())) {
            core_.views.add(gone);
            refuse(error, "unmap", span.bytes());
        }
    } catch (...) {
        set_protection(region, range, access);
        // As it was a moment ago, so that it takes no more mappings than then.
        static_cast<void>(region.mapper().set_access(region.address_of(range.first), span.bytes(), access));
        throw;
    }
    set_protection(region, range, Access::read_write);
    for (const AddressRange& part : unseen) {
        Region& shared = *RegionMap::find(part.begin);
        discarder_.discard(shared, pages_in(shared, part), DiskSpace::keep);
    }
}

/// Takes away all access to the views in the range. Throws ENOMEM, and then all is as before.
void ViewMapper::close(Region& region, PageRange range) {
    const std::size_t bytes = region.offset_of(range.count);
    if (const int error = region.mapper().set_access(region.address_of(range.first), bytes, Access::none)) {
        refuse(error, "unmap", bytes);
    }
    set_protection(region, range, Access::none);
    RegionMap::readers().synchronize();  // faults that were allowed have ended
}

/// Writes the pages that only the views in `span` map. Returns their addresses in the shared regions. Throws EIO.
std::vector<AddressRange> ViewMapper::write_pages_seen_only_in(AddressRange span) {
    std::vector<AddressRange> unseen;
    std::vector<SharedView> others = core_.views.all();
    for (const SharedView& view : mmu::cut_out(others, span.begin, span.end)) {
        const std::vector<AddressRange> parts = mmu::seen_only_in(view, others);
        unseen.insert(unseen.end(), parts.begin(), parts.end());
    }
    for (const AddressRange& part : unseen) {
        Region& shared = *RegionMap::find(part.begin);
        const int error = write_out(shared, pages_in(shared, part));
        if (error != 0 || any_unwritten(shared, pages_in(shared, part))) {
            sys::throw_error(EIO, "cannot unmap what is shared of a file: not all of it could be written there");
        }
    }
    return unseen;
}

// ---- access

void ViewMapper::set_access(Region& region, PageRange range, Access access) {
    for (const SharedView& view : core_.views.set_access(span_of(region, range), access)) {
        Region& shared = *RegionMap::find(view.source);
        remap(shared, pages_in(shared, {view.source, view.source_end()}));
    }
}

/// Maps resident pages again in all views, as each view's access is now.
void ViewMapper::remap(Region& shared, PageRange range) {
    remap_resident(
        room_, shared, range, [](PageWord) { return true; },
        [&](std::byte* page, PageWord word) {
            return shared.mapper().restore(page, shared.page_bytes(), Access::read_write, word.dirty());
        });
}

// ---- look and write

std::vector<PageRun> ViewMapper::runs_of(Region& region, PageRange range) const {
    std::vector<PageRun> runs;
    const AddressRange span = span_of(region, range);
    std::uintptr_t next = span.begin;
    const auto add = [&](Region& owner, std::uintptr_t where, std::uintptr_t end) {
        if (end > next) runs.push_back({&owner, pages_in(owner, {where, where + (end - next)}), next});
        next = std::max(next, end);
    };
    core_.views.read([&](const SharedViews* views) {
        while (next < span.end) {
            const SharedView* const view = views == nullptr ? nullptr : views->from(next);
            if (view == nullptr || view->range.begin >= span.end) break;
            add(region, next, view->range.begin);
            add(*RegionMap::find(view->source), view->source_of(next), std::min(view->range.end, span.end));
        }
    });
    add(region, next, span.end);
    return runs;
}

int ViewMapper::write_out(Region& region, PageRange range) {
    core_.require_owner_process();
    store::SequentialWriteQueue queue;
    int error = 0;
    bool held = false;
    for (int round = 0; round < kMostWriteRounds; ++round) {
        const Reclaimed evicted = advice_.evict(region, range);
        held = evicted.refused;
        if (!any_unwritten(region, range)) return 0;
        {
            // Pages that other threads have taken off the view are in the zone, or in those threads' batches.
            const FaultPathSection section;
            error = evictor_.finisher().finish_all(queue);
            if (error == 0) error = evicted.write_error;
        }
        RegionMap::readers().synchronize();
        if (!any_unwritten(region, range)) return 0;
    }
    if (error != 0) return error;
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        const PageWord word = region.load(page);
        held |= word.dirty() && word.pins() > 0;
    });
    return held ? EBUSY : 0;  // pages that are still dirty were written after the call began
}

}  // namespace faultline::pager
