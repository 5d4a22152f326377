// PinLedger: pins pages. Pinned pages stay resident, so that system calls can use their addresses. It counts them
// against the resident limit.
#pragma once

#include "core/page_range.hpp"
#include "pager/core.hpp"
#include "pager/region/page_place.hpp"
#include "pager/region/region_pager.hpp"

#include <cstdint>

namespace faultline::pager {

class PinLedger {
public:
    explicit PinLedger(PagerCore& core) noexcept : core_{core} {}

    /// Pins all pages of the range, or throws std::system_error with an error of `pin_front` and pins none.
    void pin(Region& region, core::PageRange range, PinFor purpose);

    /// See RegionPager::pin_front.
    [[nodiscard]] PinnedFront pin_front(Region& region, core::PageRange range, PinFor purpose,
                                        PinAmount amount) noexcept;

    /// See RegionPager::unpin.
    void unpin(Region& region, core::PageRange range) noexcept;

    /// Returns how many bytes pins may hold on top of what they hold now.
    [[nodiscard]] std::uint64_t room() const noexcept;
    [[nodiscard]] std::int64_t pinned_units() const noexcept { return core_.limit.pinned_units.load(); }

private:
    [[nodiscard]] std::int64_t most_pinned() const noexcept;
    [[nodiscard]] std::uint64_t reserve(const Region& region, std::uint64_t wanted, PinAmount amount) noexcept;
    [[nodiscard]] int pin_page(Region& region, std::uint64_t page, PinFor purpose) noexcept;
    [[nodiscard]] int pin_at(const PagePlace& place, PinFor purpose, std::uintptr_t address) noexcept;

    PagerCore& core_;
};

}  // namespace faultline::pager
