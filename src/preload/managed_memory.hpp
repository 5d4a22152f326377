// ManagedMemory: the managed regions of a preloaded program: the heap, and the window of its mappings. It finds the
// managed part of a range of addresses. Everything that prepares memory for system calls, or answers calls that change
// mappings, asks here.
#pragma once

#include "core/address_range.hpp"
#include "core/units.hpp"
#include "preload/region_memory.hpp"

#include <atomic>
#include <cstdint>
#include <optional>

namespace faultline::preload {

class ManagedMemory {
public:
    struct Part {
        RegionMemory& memory;
        core::AddressRange range;

        /// Returns the pages that the part touches.
        [[nodiscard]] core::PageRange pages() const noexcept;
    };

    /// Adds a region that is never destroyed. Call while the process has one thread. Throws std::system_error.
    static RegionMemory& add_heap(pager::Region& region);
    static RegionMemory& add_window(pager::Region& region);

    /// In a child of fork whose memory is not managed any more: forgets the regions.
    static void forget() noexcept {
        heap_.store(nullptr);
        window_.store(nullptr);
    }

    /// Return null if the program has no such region (yet).
    [[nodiscard]] static RegionMemory* heap() noexcept { return heap_.load(std::memory_order_acquire); }
    [[nodiscard]] static RegionMemory* window() noexcept { return window_.load(std::memory_order_acquire); }

    /// Return the addresses of the regions; an empty range if there is none. In a window the pager has a part only.
    [[nodiscard]] static core::AddressRange heap_range() noexcept { return range_of(heap()); }
    [[nodiscard]] static core::AddressRange window_range() noexcept { return range_of(window()); }

    /// Returns the first managed part of a range. Signal-safe.
    [[nodiscard]] static std::optional<Part> first_part(core::AddressRange range) noexcept;

    /// Calls `visit(part)` for each managed part of a range, in order, until it returns something other than 0.
    template <typename Visit>
    static long for_each_part(core::AddressRange range, Visit visit) noexcept {
        while (const std::optional<Part> part = first_part(range)) {
            if (const long error = visit(*part)) return error;
            range.begin = part->range.end;
        }
        return 0;
    }

private:
    [[nodiscard]] static core::AddressRange range_of(const RegionMemory* memory) noexcept;

    static inline constinit std::atomic<RegionMemory*> heap_{nullptr};
    static inline constinit std::atomic<RegionMemory*> window_{nullptr};
};

/// Returns the addresses [address, address + bytes), cut at the end of all addresses.
[[nodiscard]] constexpr core::AddressRange addresses(std::uint64_t address, std::uint64_t bytes) noexcept {
    return {address, address + bytes < address ? UINT64_MAX : address + bytes};
}

/// Returns the range in whole units, as the kernel takes it. Empty if the kernel refuses it or has nothing to do.
[[nodiscard]] constexpr core::AddressRange whole_units(std::uint64_t address, std::uint64_t bytes) noexcept {
    const std::uint64_t rounded = core::align_up(bytes, core::kUnitBytes);
    if (address % core::kUnitBytes != 0 || rounded < bytes || address + rounded < address) return {};
    return {address, address + rounded};
}

}  // namespace faultline::preload
