// SecondChance: S3-FIFO's split fitted to a pager that sees faults only.
//
//   probation   FIFO of pages on trial: what came for the first time, or came back too late to matter
//   main        pages that proved themselves: a victim is a random one (no hit on a mapped page is visible, so any
//   order
//               kept here would be the order of arrival, and a loop a little larger than memory would evict all of it)
//   staging     the pager's: pages off the view whose frame is still held; a soft fault there is a proof of use
//
// A hard fault on a page that left at most as many evictions ago as there are frames would have been a hit with a
// little more room in its queue: the page goes to main, and probation grows or shrinks by one page, as it came from
// there or from main. Ideas: Yang et al., "FIFO queues are all you need for cache eviction" (SOSP 2023); refault
// distance: Linux mm/workingset.c; random victims in the main set and the staging zone: VMS's modified page list.
#pragma once

#include "policy/frame_queue.hpp"

namespace faultline::policy {

class SecondChance final : public ReplacementPolicy {
public:
    /// `frames`: how many the limit allows. `main_slots`: storage for the main set, as many as there are links.
    SecondChance(std::span<FrameLinks> links, std::span<FrameId> main_slots, std::size_t frames) noexcept;

    void mapped(FrameId frame, const Arrival& arrival) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] Victim victim() FAULTLINE_SIGNAL_SAFE override;
    void put_back(FrameId frame) FAULTLINE_SIGNAL_SAFE override { push_main(frame); }
    void removed(FrameId frame) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] std::size_t staging_target(std::size_t frames) const FAULTLINE_SIGNAL_SAFE override;
    void resized(std::size_t frames) FAULTLINE_SIGNAL_SAFE override;

    [[nodiscard]] std::size_t probation_size() const noexcept { return probation_.size(); }
    [[nodiscard]] std::size_t probation_target() const noexcept { return probation_target_; }
    [[nodiscard]] std::size_t main_size() const noexcept { return main_size_; }

private:
    void push_main(FrameId frame) FAULTLINE_SIGNAL_SAFE;
    void remove_main(FrameId frame) FAULTLINE_SIGNAL_SAFE;
    void learn(const Arrival& arrival) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::uint64_t random() FAULTLINE_SIGNAL_SAFE;

    std::span<FrameLinks> links_;
    std::span<FrameId> main_slots_;
    FrameQueue probation_;
    std::size_t main_size_ = 0;
    std::size_t frames_ = 0;
    std::size_t probation_target_ = 0;
    bool pressed_ = false;  // a victim was ever asked for: memory has been full
    std::uint64_t random_state_ = 0x9e37'79b9'7f4a'7c15;
};

}  // namespace faultline::policy
