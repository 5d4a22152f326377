// PageSizes: counts the regions of a pager by page size, so that the largest page size in use is known without visiting
// every region. RegionLifecycle updates it.
#pragma once

#include "core/units.hpp"

#include <faultline/types.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {

/// Not thread-safe: the caller serialises.
class PageSizes {
public:
    void add(std::size_t page_bytes) noexcept { ++regions_[index_of(page_bytes)]; }
    void remove(std::size_t page_bytes) noexcept { --regions_[index_of(page_bytes)]; }

    /// Returns the largest page size in use, in bytes; the smallest possible one if there is no region.
    [[nodiscard]] std::size_t largest() const noexcept {
        for (std::size_t i = regions_.size(); i-- > 0;) {
            if (regions_[i] > 0) return core::kUnitBytes << i;
        }
        return core::kUnitBytes;
    }

private:
    static constexpr std::size_t index_of(std::size_t page_bytes) noexcept {
        return static_cast<std::size_t>(std::countr_zero(page_bytes / core::kUnitBytes));
    }

    std::array<std::uint32_t, std::countr_zero(kLargestPageBytes / core::kUnitBytes) + 1> regions_{};
};

}  // namespace faultline::pager
