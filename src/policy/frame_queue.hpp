// FrameQueue: a doubly linked queue of frames, threaded through FrameLinks, so that any frame can be removed in
// constant time. It owns no memory: several queues share one array of links, and a frame is on one of them at most.
// Used by the replacement policies. Not thread-safe; signal-safe.
#pragma once

#include "core/check.hpp"
#include "policy/frame_links.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::policy {

class FrameQueue {
public:
    /// `tag` marks the frames of this queue in `FrameLinks::queue`. It is 1 to 255, and unique among queues over the
    /// same links.
    FrameQueue(std::span<FrameLinks> links, std::uint32_t tag) noexcept : links_{links}, tag_{tag} {}

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] bool has(FrameId frame) const noexcept { return links_[frame].on(tag_); }
    [[nodiscard]] FrameId oldest() const noexcept { return oldest_; }

    /// `note`: see FrameLinks; below 2^24.
    void push_newest(FrameId frame, std::uint32_t note = 0) FAULTLINE_SIGNAL_SAFE {
        FAULTLINE_INVARIANT(links_[frame].queue == 0);
        links_[frame] = {newest_, kNoFrame, tag_ | note << FrameLinks::kNoteShift};
        (newest_ == kNoFrame ? oldest_ : links_[newest_].next) = frame;
        newest_ = frame;
        ++size_;
    }

    void push_oldest(FrameId frame) FAULTLINE_SIGNAL_SAFE {
        FAULTLINE_INVARIANT(links_[frame].queue == 0);
        links_[frame] = {kNoFrame, oldest_, tag_};
        (oldest_ == kNoFrame ? newest_ : links_[oldest_].previous) = frame;
        oldest_ = frame;
        ++size_;
    }

    /// Removes and returns the oldest frame; kNoFrame if the queue is empty.
    [[nodiscard]] FrameId pop_oldest() FAULTLINE_SIGNAL_SAFE {
        const FrameId frame = oldest_;
        if (frame != kNoFrame) remove(frame);
        return frame;
    }

    void remove(FrameId frame) FAULTLINE_SIGNAL_SAFE {
        FAULTLINE_INVARIANT(has(frame));
        const FrameLinks here = links_[frame];
        (here.previous == kNoFrame ? oldest_ : links_[here.previous].next) = here.next;
        (here.next == kNoFrame ? newest_ : links_[here.next].previous) = here.previous;
        links_[frame] = {};
        --size_;
    }

private:
    std::span<FrameLinks> links_;
    std::uint32_t tag_;
    FrameId oldest_ = kNoFrame;
    FrameId newest_ = kNoFrame;
    std::size_t size_ = 0;
};

}  // namespace faultline::policy
