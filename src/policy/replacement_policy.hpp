// ReplacementPolicy: which page leaves when frames run short. Pure logic over frame ids: no system call, no lock, no
// knowledge of pages or time, so that the same object runs under a pager and under a trace simulator. The caller
// serialises all calls. Signal-safe: storage for the links is handed in, nothing is allocated after construction.
#pragma once

#include "core/signal_safe.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::policy {

/// Names a frame that holds a mapped page. 0 is no frame.
using FrameId = std::uint32_t;
inline constexpr FrameId kNoFrame = 0;

/// What a policy keeps per frame, as it sees fit but for this: `queue` is 0 when, and only when, the frame is on none
/// of its queues, as it is at first. Of such a frame the other two are the caller's.
struct FrameLinks {
    FrameId previous;
    FrameId next;
    std::uint32_t queue;
};

/// How a page came to be mapped: all that a pager, who sees faults only, can tell.
struct Arrival {
    enum class Kind : std::uint8_t {
        first_touch,  ///< Never seen before.
        read_ahead,   ///< Came beside another page; nobody asked for it yet.
        hard_fault,   ///< Read back from the store.
        soft_fault,   ///< Taken back from staging: used again soon after it was taken off the view.
    };
    Kind kind = Kind::first_touch;
    /// For hard faults: how many evictions ago the page left (refault distance).
    std::uint32_t evictions_ago = 0;
    /// For hard faults: the tag that `victim` had given the page when it left.
    std::uint8_t tag = 0;
};

struct Victim {
    FrameId frame = kNoFrame;
    std::uint8_t tag = 0;  ///< 0 or 1: kept in the absent page's word and handed back in `Arrival`.
};

class ReplacementPolicy {
public:
    virtual ~ReplacementPolicy() = default;

    /// A page was mapped into `frame`.
    virtual void mapped(FrameId frame, const Arrival& arrival) FAULTLINE_SIGNAL_SAFE = 0;

    /// Takes the frame that should leave next off its queue; `kNoFrame` when there is none.
    [[nodiscard]] virtual Victim victim() FAULTLINE_SIGNAL_SAFE = 0;

    /// The victim cannot leave now (pinned): it counts as just used.
    virtual void put_back(FrameId frame) FAULTLINE_SIGNAL_SAFE = 0;

    /// The page in `frame` is gone (discarded, or evicted by name). The frame may be a victim already taken off.
    virtual void removed(FrameId frame) FAULTLINE_SIGNAL_SAFE = 0;

    /// The page in `frame` is said to be of no more use: it leaves before others. The frame may be a victim already.
    virtual void demote(FrameId frame) FAULTLINE_SIGNAL_SAFE = 0;

    /// How many of `frames` should be kept staged as a second chance.
    [[nodiscard]] virtual std::size_t staging_target(std::size_t frames) const FAULTLINE_SIGNAL_SAFE = 0;

    /// The limit is now `frames`.
    virtual void resized(std::size_t frames) FAULTLINE_SIGNAL_SAFE = 0;
};

}  // namespace faultline::policy
