#include "pager/control/page_gaps.hpp"

#include "pager/control/protector.hpp"
#include "pager/control/range_errors.hpp"
#include "pager/region/range_pieces.hpp"
#include "pager/region/region_map.hpp"
#include "sys/error.hpp"

#include <cerrno>
#include <mutex>

namespace faultline::pager {

using core::PageRange;
using core::PageWord;

namespace {

/// While it lives, the mapping of a range can be closed without more mappings than there are. Throws ENOMEM.
class SplitMapping {
public:
    SplitMapping(const Region& region, PageRange range)
        : mapper_{region.mapper()}, address_{region.address_of(range.first)}, bytes_{region.offset_of(range.count)} {
        if (const int error = mapper_.split(address_, bytes_)) refuse_range(error, "take away access to", bytes_);
    }
    ~SplitMapping() { mapper_.merge(address_, bytes_); }
    SplitMapping(const SplitMapping&) = delete;
    SplitMapping& operator=(const SplitMapping&) = delete;

private:
    mmu::Mapper& mapper_;
    void* address_;
    std::size_t bytes_;
};

void unmap(const Region& region, PageRange range) {
    const std::size_t bytes = region.offset_of(range.count);
    if (const int error = sys::unmap(region.address_of(range.first), bytes)) refuse_range(error, "unmap", bytes);
}

}  // namespace

void close_mapping(const Region& region, PageRange range) {
    const std::size_t bytes = region.offset_of(range.count);
    if (const int error = region.mapper().set_access(region.address_of(range.first), bytes, Access::none)) {
        refuse_range(error, "take away access to", bytes);
    }
}

void PageGaps::open(Region& region, PageRange range, Access access) {
    core_.require_owner_process();
    const std::lock_guard lock{region.protecting()};
    set_protection(region, range, access);
    // A thread that finds the mapping open and the page closed here tries again.
    const std::size_t bytes = region.offset_of(range.count);
    if (const int error = region.mapper().set_access(region.address_of(range.first), bytes, access)) {
        set_protection(region, range, Access::read_write);
        refuse_range(error, "open", bytes);
    }
    region.open_pages().insert(range);
}

void PageGaps::close(Region& region, PageRange range) {
    core_.require_owner_process();
    const std::lock_guard lock{region.protecting()};
    region.open_pages().erase(range);
    // A fault that has seen a page open may still bring it in. After this no fault can.
    RegionMap::readers().synchronize();
    try {
        if (any_pinned(region, range)) sys::throw_error(EBUSY, "pages of the range are pinned");
        const SplitMapping split{region, range};  // first: nothing is lost if the kernel refuses
        discarder_.discard(region, range);
        discarder_.wait_for_writes(region, range);
        close_mapping(region, range);
    } catch (...) {
        region.open_pages().insert(range);
        throw;
    }
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        change_words(region, {page, 1}, [](PageWord word) { return word.with_protection(Access::read_write); });
    });
}

void PageGaps::map(Region& region, PageRange range, Access access) {
    core_.require_owner_process();
    const std::lock_guard lock{region.protecting()};
    void* const address = region.address_of(range.first);
    const std::size_t bytes = region.offset_of(range.count);
    core_.stores->reserve(bytes);
    set_protection(region, range, access);
    int error = region.mapper().map_part(address, bytes);
    if (error == 0) error = region.mapper().set_access(address, bytes, access);
    if (error != 0) {
        core_.stores->unreserve(bytes);
        set_protection(region, range, Access::read_write);
        static_cast<void>(sys::unmap(address, bytes));
        refuse_range(error, "map", bytes);
    }
    region.open_pages().insert(range);
}

void PageGaps::release(Region& region, PageRange range) {
    core_.require_owner_process();
    const std::lock_guard lock{region.protecting()};
    region.open_pages().erase(range);
    RegionMap::readers().synchronize();  // as in close
    try {
        if (any_pinned(region, range)) sys::throw_error(EBUSY, "pages of the range are pinned");
        discarder_.discard(region, range);
        discarder_.wait_for_writes(region, range);
        unmap(region, range);
    } catch (...) {
        region.open_pages().insert(range);
        throw;
    }
    core_.stores->unreserve(region.offset_of(range.count));
    region.mapper().forget_part(region.address_of(range.first), region.offset_of(range.count));
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        change_words(region, {page, 1}, [](PageWord word) { return word.with_protection(Access::read_write); });
    });
}

}  // namespace faultline::pager
