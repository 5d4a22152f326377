#include "preload/managed_memory.hpp"

#include "core/units.hpp"

namespace faultline::preload {
namespace {

using core::AddressRange;
using core::PageRange;

AddressRange bytes_of(const pager::Region& region, PageRange pages) noexcept {
    const std::uint64_t begin = core::address_of(region.address_of(pages.first));
    return {begin, begin + region.offset_of(pages.count)};
}

PageRange pages_touched(const pager::Region& region, AddressRange range) noexcept {
    const std::uint64_t first = region.page_of(range.begin);
    return {first, region.page_of(range.end - 1) - first + 1};
}

}  // namespace

PageRange ManagedMemory::Part::pages() const noexcept { return pages_touched(memory.region(), range); }

RegionMemory& ManagedMemory::add_heap(pager::Region& region) {
    auto* const memory = new RegionMemory{region};
    heap_.store(memory, std::memory_order_release);
    return *memory;
}

RegionMemory& ManagedMemory::add_window(pager::Region& region) {
    auto* const memory = new RegionMemory{region};
    window_.store(memory, std::memory_order_release);
    return *memory;
}

AddressRange ManagedMemory::range_of(const RegionMemory* memory) noexcept {
    return memory == nullptr ? AddressRange{} : AddressRange{memory->region().begin(), memory->region().end()};
}

std::optional<ManagedMemory::Part> ManagedMemory::first_part(AddressRange range) noexcept {
    const AddressRange in_heap = range.part_in(heap_range());
    const AddressRange in_window = range.part_in(window_range());
    if (!in_heap.empty() && (in_window.empty() || in_heap.begin < in_window.begin)) return Part{*heap(), in_heap};
    if (in_window.empty()) return std::nullopt;
    const pager::Region& region = window()->region();
    const PageRange open = region.open_pages().first_run(pages_touched(region, in_window));
    if (open.count > 0) return Part{*window(), range.part_in(bytes_of(region, open))};
    return in_heap.empty() ? std::nullopt : std::optional<Part>{Part{*heap(), in_heap}};
}

}  // namespace faultline::preload
