#include "pager/evict/drop_list.hpp"

namespace faultline::pager {
namespace {

/// Null for slots.
const mmu::Mapper* mapper_of(const Region* region) FAULTLINE_SIGNAL_SAFE {
    return region == nullptr ? nullptr : &region->mapper();
}

}  // namespace

void DropList::add_page(const Region& region, std::uint64_t page) FAULTLINE_SIGNAL_SAFE {
    add(&region, region.address_of(page), region.page_bytes());
}

void DropList::add_slot(std::byte* slot, std::size_t bytes) FAULTLINE_SIGNAL_SAFE { add(nullptr, slot, bytes); }

void DropList::add(const Region* region, std::byte* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    if (count_ == room_.size() || mapper_of(region) != mapper_of(last_)) flush();
    // A range lies in one region.
    iovec* const last = count_ > 0 && region == last_ ? &room_[count_ - 1] : nullptr;
    last_ = region;
    if (last != nullptr && static_cast<std::byte*>(last->iov_base) + last->iov_len == address) {
        last->iov_len += bytes;
    } else {
        room_[count_++] = {address, bytes};
    }
}

void DropList::flush() FAULTLINE_SIGNAL_SAFE {
    if (count_ == 0) return;
    const std::span<const iovec> ranges = room_.first(count_);
    count_ = 0;
    last_ == nullptr ? mappers_.drop_slots(ranges) : last_->mapper().drop(ranges);
}

}  // namespace faultline::pager
