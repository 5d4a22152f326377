// SharedFrames: pages of several regions whose bytes are one copy in a store (store::SharedBytes) take one frame
// between them: a frame is visible at one address at a time, and moves to the page that a thread needs next. The stores
// know which bytes are shared, and note the page that had them in a frame last; this checks the note and takes the
// frame.
#pragma once

#include "core/signal_safe.hpp"
#include "pager/core.hpp"
#include "pager/frame/progress_guard.hpp"
#include "pager/region/region.hpp"

#include <cstdint>
#include <optional>

namespace faultline::pager {

/// Signal-safe throughout. The caller is a reader of RegionMap::readers() and has signals blocked.
class SharedFrames {
public:
    explicit SharedFrames(PagerCore& core) noexcept : core_{core} {}

    /// Notes that a page, which is mapped and clean, has its bytes in a frame.
    void note(const Region& region, std::uint64_t page) const FAULTLINE_SIGNAL_SAFE;

    /// Whether a frame has what the store has of an absent page.
    [[nodiscard]] bool has(const Region& region, std::uint64_t page) const FAULTLINE_SIGNAL_SAFE;

    /// Maps the page, which the caller owns and for which it has a frame, with the bytes of another page that has the
    /// same. The other page is evicted, unless `for_writing` makes them two versions, or `thread` got both pages a
    /// moment ago: one instruction may need both, and would fault for ever. False: no frame has the bytes, nothing
    /// changed.
    [[nodiscard]] bool take(const Region& region, std::uint64_t page, bool for_writing,
                            std::uint64_t thread) FAULTLINE_SIGNAL_SAFE;

private:
    struct Found {
        const Region& region;
        std::uint64_t page;
        core::PageWord word;
    };
    [[nodiscard]] std::optional<Found> find(const Region& region, std::uint64_t page,
                                            const store::SharedBytes& bytes) const FAULTLINE_SIGNAL_SAFE;

    PagerCore& core_;
    ProgressGuard lately_;  // of faults on shared pages, for got_lately() only: eviction never consults it
};

}  // namespace faultline::pager
