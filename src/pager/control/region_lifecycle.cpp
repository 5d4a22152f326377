#include "pager/control/region_lifecycle.hpp"

#include "core/units.hpp"
#include "pager/control/page_gaps.hpp"
#include "pager/region/fault_path_section.hpp"
#include "pager/region/range_pieces.hpp"
#include "pager/region/region_map.hpp"
#include "sys/error.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <mutex>
#include <span>
#include <string>

namespace faultline::pager {
namespace {

/// Returns `bytes` rounded up to whole pages. Throws.
std::size_t checked_size(std::size_t bytes, std::size_t page_bytes) {
    if (page_bytes < kBasePageBytes || page_bytes > kLargestPageBytes || !std::has_single_bit(page_bytes)) {
        sys::throw_error(EINVAL, "a page size of " + std::to_string(page_bytes) +
                                     " bytes is not a power of two from 4 KiB to 2 MiB (RegionOptions::page_size)");
    }
    if (bytes == 0) sys::throw_error(EINVAL, "cannot reserve a region of 0 bytes");
    if (bytes > core::kUserAddressEnd) {
        sys::throw_error(ENOMEM, "cannot reserve " + sys::readable_bytes(bytes) + ": addresses end at 128 TiB");
    }
    const std::size_t size = core::align_up(bytes, page_bytes);
    if (size / page_bytes > 0xffff'ffffU) {
        sys::throw_error(ENOMEM,
                         "cannot reserve " + sys::readable_bytes(bytes) +
                             ": a region has at most 4294967295 pages; choose a larger RegionOptions::page_size");
    }
    return size;
}

}  // namespace

void watch_fence(sys::Userfaultfd* uffd, const sys::Mapping& mapping, bool write_protect) {
    const std::span<std::byte> fence = mapping.fence();
    if (uffd != nullptr && !fence.empty()) uffd->watch(fence.data(), fence.size(), write_protect);
}

Region& RegionLifecycle::reserve(RegionPager& pager, sys::Userfaultfd* uffd, std::size_t bytes, std::size_t page_bytes,
                                 const RegionPlan& plan) {
    core_.require_owner_process();
    const std::size_t size = checked_size(bytes, page_bytes);
    const std::lock_guard lock{core_.control};
    const std::size_t largest = std::max(core_.page_sizes.largest(), page_bytes);
    limit_.require_room_for_pages(largest);
    std::unique_ptr<store::BackingStore> store = plan.shared   ? nullptr
                                                 : plan.window ? core_.stores->open_window(size, page_bytes)
                                                               : core_.stores->open_for_pages(size, page_bytes);
    if (plan.decorate) store = plan.decorate(std::move(store));
    const std::uint32_t id = core_.regions.take_id();
    mmu::Mapper& mapper = plan.shared ? core_.mappers.shared_mapper() : core_.mappers.private_mapper();
    try {
        auto region =
            std::make_unique<Region>(pager, mapper, id, size, page_bytes, std::move(store),
                                     core_.config.delivery == Delivery::uffd_threads, plan, &core_.stores->records());
        watch(*region, uffd, plan);
        try {
            if (plan.gaps) close_mapping(*region, {0, region->pages()});
            limit_.set_largest_page(largest);
            RegionMap::insert(*region);
        } catch (...) {
            mapper.unwatch_region(region->mapping().data());
            throw;
        }
        core_.regions.set(id, region.get());
        core_.page_sizes.add(page_bytes);
        return *region.release();
    } catch (...) {
        core_.regions.give_back_id(id);
        throw;
    }
}

void RegionLifecycle::watch(Region& region, sys::Userfaultfd* uffd, const RegionPlan& plan) {
    if (region.window()) return region.mapper().watch_window(region.mapping().data(), region.mapping().size());
    region.mapper().watch_region(region.mapping().data(), region.mapping().size());
    if (uffd != nullptr && !plan.shared) {
        watch_fence(uffd, region.mapping(), true);
    } else {
        region.mapping().drop_fence();  // the mapping over the region is of another kind
    }
}

void RegionLifecycle::destroy(Region& region) {
    core_.require_owner_process();
    // In a region with gaps, views may be pinned, which no gauge counts.
    const bool views_pinned = region.has_gaps() && any_pinned(region, {0, region.pages()});
    if (views_pinned || region.counters().sum(Count::pinned) > 0) {
        sys::throw_error(EBUSY, "the region still has pinned pages: destroy its Pins first");
    }
    if (region.has_gaps()) view_mapper_.forget(region, {0, region.pages()});
    const std::lock_guard lock{core_.control};
    RegionMap::remove(region);  // no fault finds it any more; faults that found it before have ended
    const std::uint32_t id = region.id();
    {
        const FaultPathSection section;
        discarder_.forget_all(region);
    }
    // Batches may still name pages of the region, and the evictor may just have read such a name.
    core_.staging.forget_region(id);
    RegionMap::readers().synchronize();
    {
        const FaultPathSection section;
        finisher_.finish_forgotten();
    }

    core_.destroyed += region_stats(region.counters(), region.page_bytes());
    core_.regions.set(id, nullptr);
    core_.page_sizes.remove(region.page_bytes());
    RegionMap::readers().synchronize();
    region.mapper().unwatch_region(region.mapping().data());
    delete &region;
    core_.wake_to_return_space();
    core_.regions.give_back_id(id);
    limit_.set_largest_page(core_.page_sizes.largest());
}

}  // namespace faultline::pager
