// LimitFigures: the resident limit and the figures that follow from it. Faults read them; FrameLimit sets them.
#pragma once

#include "core/units.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {

struct LimitFigures {
    std::atomic<std::size_t> bytes{0};            ///< The limit itself.
    std::atomic<std::int64_t> most_kept_free{0};  ///< Units that the background evictor keeps free at most.
    std::atomic<std::int64_t> keep_free{0};       ///< Units that it keeps free now.
    std::atomic<std::size_t> staging_target{0};   ///< Units that stay staged as a second chance.
    std::atomic<std::size_t> direct_batch{1};     ///< Pages that a faulting thread evicts at once, see WriteWait.
    std::atomic<std::size_t> urgent_batch{1};     ///< The same if the stores are slow: a fault waits for the writes.
    std::atomic<bool> frames_are_few{false};      ///< Then ProgressGuard is on.
    std::atomic<std::int64_t> pinnable_units{0};  ///< Units that pins may hold: all but Pager::kMinimumPages pages.
    std::atomic<std::int64_t> pinned_units{0};    ///< Units that pins hold. PinLedger changes it.
    std::atomic<std::size_t> largest_page{core::kUnitBytes};  ///< In use, in bytes.
};

}  // namespace faultline::pager
