#include "preload/pinned_memory.hpp"

#include "preload/managed_heap.hpp"
#include "preload/managed_memory.hpp"
#include "preload/thread_state.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace faultline::preload {
namespace {

/// Returns the errno with which read or write reports a failed pin. Never ENOSPC, which would name the wrong disk: that
/// of the program's file.
int errno_of_call(int pin_error) noexcept { return pin_error == EACCES ? EFAULT : pin_error == EIO ? EIO : ENOMEM; }

constexpr std::uint64_t kSmallPages = 16;  // ranges of up to so many pages may use all the room for pins

/// Returns the pages at the front of a range that have the same protection.
core::PageRange front_alike(const pager::Region& region, core::PageRange pages) noexcept {
    const Access access = region.load(pages.first).protection();
    std::uint64_t count = 1;
    while (count < pages.count && region.load(pages.first + count).protection() == access) ++count;
    return {pages.first, count};
}

}  // namespace

PinnedMemory::~PinnedMemory() { give_up(); }

/// Unpins everything. A fork may come at any time, and the child releases the pins that this object lists. So a page is
/// listed after it is pinned, and removed from the list before it is unpinned.
void PinnedMemory::give_up() noexcept {
    if (count_ == 0) return;
    const InLibrary inside;
    while (count_ > 0) {
        const Pinned pinned = pinned_[--count_];
        std::atomic_signal_fence(std::memory_order_seq_cst);
        pinned.region->pager().unpin(*pinned.region, pinned.pages);
    }
}

void PinnedMemory::note(Pinned pinned) noexcept {
    pinned_[count_] = pinned;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    ++count_;
}

bool PinnedMemory::add(std::uint64_t address, std::uint64_t bytes) noexcept {
    return ManagedMemory::for_each_part(addresses(address, bytes), [this](const ManagedMemory::Part& part) -> long {
               return add(part.memory.region(), part.pages()) ? 0 : ENOMEM;
           }) == 0;
}

bool PinnedMemory::add(pager::Region& region, core::PageRange pages) noexcept {
    if (has(region, pages)) return true;
    const InLibrary inside;
    const auto amount = pages.count <= kSmallPages ? pager::PinAmount::all : pager::PinAmount::fair_share;
    while (pages.count > 0) {
        const core::PageRange alike = front_alike(region, pages);
        const Access access = region.load(alike.first).protection();
        const PinFor purpose = access == Access::read_write ? purpose_ : PinFor::reading;
        if (access != Access::none && !add_alike(region, alike, purpose, amount)) return false;
        pages = {alike.end(), pages.count - alike.count};
    }
    return true;
}

/// Pins pages that permit the same.
bool PinnedMemory::add_alike(pager::Region& region, core::PageRange pages, PinFor purpose,
                             pager::PinAmount amount) noexcept {
    if (count_ == kMost) return false;
    const pager::PinnedFront front = region.pager().pin_front(region, pages, purpose, amount);
    if (front.error == 0) {
        note({&region, pages});
        return true;
    }
    if (front.pages > 0) region.pager().unpin(region, {pages.first, front.pages});
    return false;
}

UsableFront PinnedMemory::add_front(std::uint64_t address, std::uint64_t bytes) noexcept {
    UsableFront usable{bytes, 0};
    static_cast<void>(
        ManagedMemory::for_each_part(addresses(address, bytes), [&](const ManagedMemory::Part& part) -> long {
            const UsableFront front = add_front(part.memory.region(), part.pages());
            if (front.error == 0) return 0;
            usable = {std::max<std::uint64_t>(front.bytes, part.range.begin) - address, front.error};
            return front.error;
        }));
    return usable;
}

/// Pins pages at the start of a range. Returns as `bytes` the address up to which they are pinned.
UsableFront PinnedMemory::add_front(pager::Region& region, core::PageRange pages) noexcept {
    const auto end_at = [&](std::uint64_t count) { return core::address_of(region.address_of(pages.first + count)); };
    if (has(region, pages)) return {end_at(pages.count), 0};
    if (count_ == kMost) return {end_at(0), ENOMEM};
    const InLibrary inside;
    const pager::PinnedFront front = region.pager().pin_front(region, pages, purpose_, pager::PinAmount::fair_share);
    if (front.pages > 0) note({&region, {pages.first, front.pages}});
    return {end_at(front.pages), front.error == 0 ? 0 : errno_of_call(front.error)};
}

/// Returns true if the range pinned last covers these pages: adjacent small buffers share pages.
bool PinnedMemory::has(const pager::Region& region, core::PageRange pages) const noexcept {
    if (count_ == 0 || pinned_[count_ - 1].region != &region) return false;
    const core::PageRange& last = pinned_[count_ - 1].pages;
    return pages.first >= last.first && pages.end() <= last.end();
}

std::uint64_t transfer_window() noexcept {
    constexpr std::uint64_t kLeast = std::uint64_t{64} << 10;
    constexpr std::uint64_t kMost = std::uint64_t{1} << 20;
    heap::Heap* const heap = ManagedHeap::get();
    return heap == nullptr ? kMost : std::clamp<std::uint64_t>(heap->pager().resident_limit() / 4, kLeast, kMost);
}

namespace {

/// Touches one page as far as its protection permits.
void touch_page(const pager::Region& region, std::uint64_t page) noexcept {
    const Access access = region.load(page).protection();
    auto& first = *reinterpret_cast<unsigned char*>(region.address_of(page));
    if (access == Access::read_write) {
        std::atomic_ref{first}.fetch_or(0, std::memory_order_relaxed);
    } else if (access != Access::none) {
        static_cast<void>(std::atomic_ref{first}.load(std::memory_order_relaxed));
    }
}

}  // namespace

void touch_managed(std::uint64_t address, std::uint64_t bytes) noexcept {
    static_cast<void>(
        ManagedMemory::for_each_part(addresses(address, bytes), [](const ManagedMemory::Part& part) -> long {
            const core::PageRange pages = part.pages();
            for (std::uint64_t page = pages.first; page < pages.end(); ++page) touch_page(part.memory.region(), page);
            return 0;
        }));
}

bool is_managed(std::uint64_t address, std::uint64_t bytes) noexcept {
    return ManagedMemory::first_part(addresses(address, bytes)).has_value();
}

}  // namespace faultline::preload
