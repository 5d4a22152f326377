// SecondChance: S3-FIFO's split fitted to a pager that sees faults only.
//
//   probation   FIFO of pages on trial: what came for the first time, or came back too late to matter
//   main        pages that proved themselves: a victim is the one of four random ones that came first. No hit on a
//               mapped page is visible, so the order of arrival is all there is: followed strictly, a loop a little
//               larger than memory would evict all of it; not followed at all, what a program has moved away from stays
//               for long
//   staging     the pager's: pages off the view whose frame is still held, because they are being written or are wanted
//               there a little longer; a soft fault there is a proof of use
//
// A hard fault on a page that left main at most as many evictions ago as there are frames, or probation at most half as
// many, would have been a hit with a little more room in its queue: the page goes to main, and probation shrinks by
// three pages or grows by two. Pages of main weigh more because they have proved themselves before; with equal weights
// the many pages that are merely seen twice crowd them out.
//
// Ideas: Yang et al., "FIFO queues are all you need for cache eviction" (SOSP 2023); refault distance: Linux
// mm/workingset.c; the staging zone: VMS's modified page list; the oldest of a few random pages: approximated LRU as in
// Psounis and Prabhakar, "Efficient randomized web-cache replacement schemes using samples from past eviction times"
// (2002). The figures, here and in second_chance.cpp, were found by replaying the tuning suite of bench/policy_replay.
#pragma once

#include "policy/frame_queue.hpp"

namespace faultline::policy {

class SecondChance final : public ReplacementPolicy {
public:
    /// `frames`: how many the limit allows. `main_slots`: storage for the main set, as many as there are links.
    /// `staging_percent`: of the frames, how many are staged; of a small memory, a few pages more. 0: none, which costs
    /// next to no hits (bench/policy_replay: pager/second beside pager/zone).
    SecondChance(std::span<FrameLinks> links, std::span<FrameId> main_slots, std::size_t frames,
                 unsigned staging_percent) noexcept;

    void mapped(FrameId frame, const Arrival& arrival) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] Victim victim() FAULTLINE_SIGNAL_SAFE override;
    void put_back(FrameId frame) FAULTLINE_SIGNAL_SAFE override { push_main(frame); }
    void removed(FrameId frame) FAULTLINE_SIGNAL_SAFE override;
    void demote(FrameId frame) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] std::size_t staging_target(std::size_t frames) const FAULTLINE_SIGNAL_SAFE override;
    void resized(std::size_t frames) FAULTLINE_SIGNAL_SAFE override;

    [[nodiscard]] std::size_t probation_size() const noexcept { return probation_.size(); }
    [[nodiscard]] std::size_t probation_target() const noexcept { return probation_target_; }
    [[nodiscard]] std::size_t main_size() const noexcept { return main_size_; }

private:
    [[nodiscard]] bool returned_early(const Arrival& arrival) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] FrameId oldest_of_a_few() FAULTLINE_SIGNAL_SAFE;
    void push_main(FrameId frame) FAULTLINE_SIGNAL_SAFE;
    void remove_main(FrameId frame) FAULTLINE_SIGNAL_SAFE;
    void learn(const Arrival& arrival) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::uint64_t random() FAULTLINE_SIGNAL_SAFE;

    std::span<FrameLinks> links_;
    std::span<FrameId> main_slots_;
    FrameQueue cold_;  // what the program says it will not need
    FrameQueue probation_;
    std::size_t main_size_ = 0;
    std::size_t frames_ = 0;
    std::size_t probation_target_ = 0;
    unsigned staging_percent_;
    std::uint32_t now_ = 0;  // arrivals in main
    bool pressed_ = false;   // a victim was ever asked for: memory has been full
    std::uint64_t random_state_ = 0x9e37'79b9'7f4a'7c15;
};

}  // namespace faultline::policy
