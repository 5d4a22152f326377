#include "preload/pinned_memory.hpp"

#include "preload/managed_heap.hpp"
#include "preload/thread_state.hpp"

#include <algorithm>
#include <atomic>
#include <optional>

namespace faultline::preload {
namespace {

struct Bytes {
    std::uint64_t begin;
    std::uint64_t end;
};

/// The part of a range that lies in the heap.
std::optional<Bytes> managed_part(std::uint64_t address, std::uint64_t bytes) noexcept {
    detail::Heap* const heap = ManagedHeap::get();
    if (heap == nullptr || bytes == 0) return std::nullopt;
    const std::uint64_t begin = std::max<std::uint64_t>(address, heap->region().begin());
    const std::uint64_t end = address + bytes < address
                                  ? heap->region().end()
                                  : std::min<std::uint64_t>(address + bytes, heap->region().end());
    if (begin >= end) return std::nullopt;
    return Bytes{begin, end};
}

}  // namespace

PinnedMemory::~PinnedMemory() { release(); }

void PinnedMemory::release() noexcept {
    if (count_ == 0) return;
    const InLibrary inside;
    detail::Heap& heap = *ManagedHeap::get();
    for (std::size_t i = 0; i < count_; ++i) heap.pager().unpin(heap.region(), pinned_[i]);
    count_ = 0;
}

void PinnedMemory::add(std::uint64_t address, std::uint64_t bytes) noexcept {
    const std::optional<Bytes> part = managed_part(address, bytes);
    if (!part) return;
    any_ = true;
    detail::Region& region = ManagedHeap::get()->region();
    const std::uint64_t first = region.page_of(part->begin);
    const core::PageRange pages{first, region.page_of(part->end - 1) - first + 1};
    if (has(pages)) return;
    if (count_ < kMost) {
        const InLibrary inside;
        const detail::PinnedFront front =
            region.pager().pin_front(region, pages, PinFor::writing, detail::PinAmount::all);
        if (front.pages > 0) pinned_[count_++] = {first, front.pages};
        if (front.error == 0) return;
    }
    complete_ = false;
    touch_managed(part->begin, part->end - part->begin);
}

/// Neighbours in a list of small buffers share pages.
bool PinnedMemory::has(core::PageRange pages) const noexcept {
    if (count_ == 0) return false;
    const core::PageRange& last = pinned_[count_ - 1];
    return pages.first >= last.first && pages.end() <= last.end();
}

void touch_managed(std::uint64_t address, std::uint64_t bytes) noexcept {
    const std::optional<Bytes> part = managed_part(address, bytes);
    if (!part) return;
    for (std::uint64_t at = part->begin; at < part->end; at = (at / core::kUnitBytes + 1) * core::kUnitBytes) {
        std::atomic_ref{*reinterpret_cast<unsigned char*>(at)}.fetch_or(0, std::memory_order_relaxed);
    }
}

void keep_pinned(std::uint64_t address, std::uint64_t bytes) noexcept {
    const std::optional<Bytes> part = managed_part(address, bytes);
    if (!part) return;
    const InLibrary inside;
    detail::Region& region = ManagedHeap::get()->region();
    const std::uint64_t first = region.page_of(part->begin);
    static_cast<void>(region.pager().pin_front(region, {first, region.page_of(part->end - 1) - first + 1},
                                               PinFor::writing, detail::PinAmount::all));
}

bool is_managed(std::uint64_t address, std::uint64_t bytes) noexcept {
    return managed_part(address, bytes).has_value();
}

}  // namespace faultline::preload
