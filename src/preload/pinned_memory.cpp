#include "preload/pinned_memory.hpp"

#include "core/address_range.hpp"
#include "preload/managed_heap.hpp"
#include "preload/thread_state.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>

namespace faultline::preload {
namespace {

using core::AddressRange;

/// Returns the part of a range that lies in the heap.
std::optional<AddressRange> managed_part(std::uint64_t address, std::uint64_t bytes) noexcept {
    heap::Heap* const heap = ManagedHeap::get();
    if (heap == nullptr || bytes == 0) return std::nullopt;
    const std::uint64_t end = address + bytes < address ? UINT64_MAX : address + bytes;
    const AddressRange part = AddressRange{address, end}.part_in({heap->region().begin(), heap->region().end()});
    if (part.empty()) return std::nullopt;
    return part;
}

core::PageRange pages_of(const pager::Region& region, AddressRange part) noexcept {
    const std::uint64_t first = region.page_of(part.begin);
    return {first, region.page_of(part.end - 1) - first + 1};
}

/// Returns the errno with which read or write reports a failed pin. Never ENOSPC, which would name the wrong disk: that
/// of the program's file.
int errno_of_call(int pin_error) noexcept { return pin_error == EACCES ? EFAULT : pin_error == EIO ? EIO : ENOMEM; }

constexpr std::uint64_t kSmallPages = 16;  // ranges of up to so many pages may use all the room for pins

}  // namespace

PinnedMemory::~PinnedMemory() { give_up(); }

/// Unpins everything. A fork may come at any time, and the child releases the pins that this object lists. So a page is
/// listed after it is pinned, and removed from the list before it is unpinned.
void PinnedMemory::give_up() noexcept {
    if (count_ == 0) return;
    const InLibrary inside;
    heap::Heap& heap = *ManagedHeap::get();
    while (count_ > 0) {
        const core::PageRange pages = pinned_[--count_];
        std::atomic_signal_fence(std::memory_order_seq_cst);
        heap.pager().unpin(heap.region(), pages);
    }
}

void PinnedMemory::note(core::PageRange pages) noexcept {
    pinned_[count_] = pages;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    ++count_;
}

bool PinnedMemory::add(std::uint64_t address, std::uint64_t bytes) noexcept {
    const std::optional<AddressRange> part = managed_part(address, bytes);
    if (!part) return true;
    pager::Region& region = ManagedHeap::get()->region();
    const core::PageRange pages = pages_of(region, *part);
    if (has(pages)) return true;
    if (count_ == kMost) return false;
    const InLibrary inside;
    const auto amount = pages.count <= kSmallPages ? pager::PinAmount::all : pager::PinAmount::fair_share;
    const pager::PinnedFront front = region.pager().pin_front(region, pages, purpose_, amount);
    if (front.error == 0) {
        note(pages);
        return true;
    }
    if (front.pages > 0) region.pager().unpin(region, {pages.first, front.pages});
    return false;
}

UsableFront PinnedMemory::add_front(std::uint64_t address, std::uint64_t bytes) noexcept {
    const std::optional<AddressRange> part = managed_part(address, bytes);
    if (!part) return {bytes, 0};
    pager::Region& region = ManagedHeap::get()->region();
    const core::PageRange pages = pages_of(region, *part);
    if (has(pages)) return {bytes, 0};
    if (count_ == kMost) return {part->begin - address, ENOMEM};
    const InLibrary inside;
    const pager::PinnedFront front = region.pager().pin_front(region, pages, purpose_, pager::PinAmount::fair_share);
    if (front.pages > 0) note({pages.first, front.pages});
    if (front.error == 0) return {bytes, 0};
    const std::uint64_t end = core::address_of(region.address_of(pages.first + front.pages));
    return {std::max<std::uint64_t>(end, part->begin) - address, errno_of_call(front.error)};
}

/// Returns true if the range pinned last covers these pages: adjacent small buffers share pages.
bool PinnedMemory::has(core::PageRange pages) const noexcept {
    if (count_ == 0) return false;
    const core::PageRange& last = pinned_[count_ - 1];
    return pages.first >= last.first && pages.end() <= last.end();
}

std::uint64_t transfer_window() noexcept {
    constexpr std::uint64_t kLeast = std::uint64_t{64} << 10;
    constexpr std::uint64_t kMost = std::uint64_t{1} << 20;
    heap::Heap* const heap = ManagedHeap::get();
    return heap == nullptr ? kMost : std::clamp<std::uint64_t>(heap->pager().resident_limit() / 4, kLeast, kMost);
}

void touch_managed(std::uint64_t address, std::uint64_t bytes) noexcept {
    const std::optional<AddressRange> part = managed_part(address, bytes);
    if (!part) return;
    for (std::uint64_t at = part->begin; at < part->end; at = (at / core::kUnitBytes + 1) * core::kUnitBytes) {
        std::atomic_ref{*reinterpret_cast<unsigned char*>(at)}.fetch_or(0, std::memory_order_relaxed);
    }
}

bool is_managed(std::uint64_t address, std::uint64_t bytes) noexcept {
    return managed_part(address, bytes).has_value();
}

}  // namespace faultline::preload
