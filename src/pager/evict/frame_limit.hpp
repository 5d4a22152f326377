// FrameLimit: sets the limit of frames, and the figures that follow from it (LimitFigures). LimitKeeper and SplitKeeper
// decide what the limit is.
#pragma once

#include "core/signal_safe.hpp"
#include "pager/core.hpp"
#include "sys/futex_lock.hpp"

#include <cstddef>

namespace faultline::pager {

/// Thread-safe and signal-safe. Callers outside a fault keep all signals blocked. Does not evict what is beyond a
/// lowered limit.
class FrameLimit {
public:
    explicit FrameLimit(PagerCore& core) noexcept : core_{core} {}

    /// Sets the limit in bytes.
    void set(std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

    /// Tells it the size of the largest page in use, in bytes.
    void set_largest_page(std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

private:
    void apply(std::size_t bytes, std::size_t largest_page) FAULTLINE_SIGNAL_SAFE;

    PagerCore& core_;
    sys::FutexLock lock_;  // taken before the lock of FrameTable
};

}  // namespace faultline::pager
