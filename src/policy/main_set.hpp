// MainSet: the pages of SecondChance that proved useful: an unordered array of frames, so that random ones can be
// compared. A victim is the worst of a few random frames. Hits on mapped pages are invisible, so all that is known of a
// frame is its age (arrivals in the set since its own, or since its page was last seen in use) and the RefaultInterval
// of its page. Not thread-safe; signal-safe.
#pragma once

#include "policy/frame_queue.hpp"
#include "policy/random.hpp"
#include "policy/refault_interval.hpp"
#include "policy/victim_duel.hpp"

namespace faultline::policy {

class MainSet {
public:
    /// `tag` marks the frames of this set in `FrameLinks::queue`, as in FrameQueue. `slots`: as many as there are
    /// links.
    MainSet(std::span<FrameLinks> links, std::span<FrameId> slots, std::uint32_t tag) noexcept
        : links_{links}, slots_{slots}, tag_{tag} {}

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool has(FrameId frame) const noexcept { return links_[frame].on(tag_); }
    [[nodiscard]] RefaultInterval interval(FrameId frame) const noexcept {
        return RefaultInterval::at_step(links_[frame].note());
    }

    void push(FrameId frame, RefaultInterval interval) FAULTLINE_SIGNAL_SAFE;
    void remove(FrameId frame) FAULTLINE_SIGNAL_SAFE;

    /// Notes that the page in `frame` was used: it is as young as one that has just come, and its interval is a step
    /// shorter.
    void referenced(FrameId frame) FAULTLINE_SIGNAL_SAFE;

    /// Returns the frame to evict by `rule`, for a memory of `frames`. The set is not empty.
    [[nodiscard]] FrameId worst(VictimRule rule, std::size_t frames, Random& random) const FAULTLINE_SIGNAL_SAFE;

private:
    /// Returns how long the program is expected to do without the page in `frame`: its interval, and as much again for
    /// each `4 * frames` arrivals of age. The unit is a sixteenth of an eviction.
    [[nodiscard]] std::uint64_t expected_absence(FrameId frame, std::size_t frames) const FAULTLINE_SIGNAL_SAFE {
        return (4 * std::uint64_t{frames} + age(frame)) * interval(frame).quarters();
    }
    /// Returns `FrameLinks::queue` of a frame in the set.
    [[nodiscard]] std::uint32_t noted(RefaultInterval interval) const noexcept {
        return tag_ | interval.step() << FrameLinks::kNoteShift;
    }
    // Ages are compared, not arrivals: the 32-bit arrival counter wraps.
    [[nodiscard]] std::uint32_t age(FrameId frame) const FAULTLINE_SIGNAL_SAFE { return now_ - links_[frame].next; }

    std::span<FrameLinks> links_;  // of a frame in the set: `previous` is its slot, `next` its arrival
    std::span<FrameId> slots_;
    std::uint32_t tag_;
    std::size_t size_ = 0;
    std::uint32_t now_ = 0;  // arrivals so far; wraps
};

}  // namespace faultline::policy
