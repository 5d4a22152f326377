// ReplacementPolicy: chooses the page to evict when frames run short. Pure logic over frame ids: no system call, no
// lock, no knowledge of pages or time, so that the same object runs under the pager and under a trace simulator. The
// caller serialises all calls. Signal-safe: the caller provides the storage for the links, and nothing is allocated
// after construction.
#pragma once

#include "core/signal_safe.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::policy {

/// Identifies a frame that holds a mapped page. 0: no frame.
using FrameId = std::uint32_t;
inline constexpr FrameId kNoFrame = 0;

/// What a policy keeps per frame. `queue` is 0 exactly while the frame is on none of the policy's queues; it starts as
/// 0. While `queue` is 0 the caller may use `previous` and `next`.
struct FrameLinks {
    static constexpr unsigned kNoteShift = 8;

    FrameId previous;
    FrameId next;
    std::uint32_t queue;  ///< Low 8 bits: the queue's tag. The rest: the queue's note on the page.

    [[nodiscard]] constexpr bool on(std::uint32_t tag) const noexcept { return (queue & 0xffU) == tag; }
    [[nodiscard]] constexpr std::uint32_t note() const noexcept { return queue >> kNoteShift; }
};

/// How a page came to be mapped. A pager sees faults only, so this is all it can tell a policy.
struct Arrival {
    enum class Kind : std::uint8_t {
        first_touch,  ///< The page had no contents before.
        read_ahead,   ///< Prefetched together with another page. No access has needed it yet.
        hard_fault,   ///< Read from the store.
        soft_fault,   ///< Taken back from staging: used again soon after it was unmapped.
    };
    Kind kind = Kind::first_touch;
    /// For hard faults: evictions since the page was evicted (refault distance).
    std::uint32_t evictions_ago = 0;
    /// For hard faults: the tag that `victim` returned when the page was evicted.
    std::uint8_t tag = 0;
};

struct Victim {
    FrameId frame = kNoFrame;
    /// 0 to kMaxTag. Kept in the absent page's word and passed back in `Arrival`. 0 also if the pager chose the page.
    std::uint8_t tag = 0;

    static constexpr std::uint8_t kMaxTag = 31;
};

class ReplacementPolicy {
public:
    virtual ~ReplacementPolicy() = default;

    /// Adds `frame`, in which a page was mapped.
    virtual void mapped(FrameId frame, const Arrival& arrival) FAULTLINE_SIGNAL_SAFE = 0;

    /// Notes that the page in `frame` was seen to be used although it was mapped: the program wrote to it while it was
    /// write-protected. The frame may be a victim; then nothing happens.
    virtual void referenced(FrameId frame) FAULTLINE_SIGNAL_SAFE = 0;

    /// Removes the frame to evict next from its queue and returns it; `kNoFrame` when there is none.
    [[nodiscard]] virtual Victim victim() FAULTLINE_SIGNAL_SAFE = 0;

    /// Takes back a victim that cannot be evicted now (pinned). It counts as just used.
    virtual void put_back(FrameId frame) FAULTLINE_SIGNAL_SAFE = 0;

    /// Removes `frame`: its page was discarded, or evicted by name. The frame may already be a victim.
    virtual void removed(FrameId frame) FAULTLINE_SIGNAL_SAFE = 0;

    /// Lets `frame` be evicted before frames that are not demoted: the program has advised that it does not need the
    /// page. The frame may already be a victim; then nothing happens.
    virtual void demote(FrameId frame) FAULTLINE_SIGNAL_SAFE = 0;

    /// Returns how many of `frames` frames the pager should keep staged as a second chance.
    [[nodiscard]] virtual std::size_t staging_target(std::size_t frames) const FAULTLINE_SIGNAL_SAFE = 0;

    /// Sets the limit of resident pages, in frames.
    virtual void resized(std::size_t frames) FAULTLINE_SIGNAL_SAFE = 0;
};

}  // namespace faultline::policy
