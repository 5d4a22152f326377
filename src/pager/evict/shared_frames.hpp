// SharedFrames: lets pages of several regions whose bytes are one copy in a store (store::SharedBytes) use one frame in
// turn. A frame is mapped at one address at a time: a fault on one of the pages takes it from another. The store knows
// which bytes are shared, and keeps a note of the page that had them in a frame last. SharedFrames checks the note,
// which may be out of date, and moves the bytes.
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

    /// Notes in the store that a page has its bytes in a frame. The page is mapped and clean.
    void note(const Region& region, std::uint64_t page) const FAULTLINE_SIGNAL_SAFE;

    /// Returns true if another page has the bytes of an absent page in a frame. Only a hint: the caller owns neither.
    [[nodiscard]] bool has(const Region& region, std::uint64_t page) const FAULTLINE_SIGNAL_SAFE;

    /// Maps an absent page with the bytes of another page that has the same in a frame. The caller owns the absent page
    /// and has reserved a frame for it. Evicts the other page, with two exceptions: `for_writing` makes them two
    /// versions; or `thread` has just faulted on both pages, and one instruction that needs both would fault for ever.
    /// Returns false, with nothing changed, if no frame has the bytes.
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
    ProgressGuard recent_faults_;  // on shared pages; used for got_recently() only, eviction never consults it
};

}  // namespace faultline::pager
