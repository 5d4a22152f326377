// Fifo: the ReplacementPolicy that evicts the page that was mapped first, used or not. It is the baseline that other
// policies are compared with, and the right choice where every page is used once. It stages nothing. Not thread-safe;
// signal-safe.
#pragma once

#include "policy/frame_queue.hpp"

namespace faultline::policy {

class Fifo : public ReplacementPolicy {
public:
    explicit Fifo(std::span<FrameLinks> links) noexcept : queue_{links, 1} {}

    void mapped(FrameId frame, const Arrival&) FAULTLINE_SIGNAL_SAFE override { queue_.push_newest(frame); }
    void referenced(FrameId) FAULTLINE_SIGNAL_SAFE override {}
    [[nodiscard]] Victim victim() FAULTLINE_SIGNAL_SAFE override { return {queue_.pop_oldest(), 0}; }
    void put_back(FrameId frame) FAULTLINE_SIGNAL_SAFE override { queue_.push_newest(frame); }
    void removed(FrameId frame) FAULTLINE_SIGNAL_SAFE override {
        if (queue_.has(frame)) queue_.remove(frame);
    }
    void demote(FrameId frame) FAULTLINE_SIGNAL_SAFE override {
        if (!queue_.has(frame)) return;
        queue_.remove(frame);
        queue_.push_oldest(frame);
    }
    [[nodiscard]] std::size_t staging_target(std::size_t) const FAULTLINE_SIGNAL_SAFE override { return 0; }
    void resized(std::size_t) FAULTLINE_SIGNAL_SAFE override {}

private:
    FrameQueue queue_;
};

}  // namespace faultline::policy
