// SecondChance: S3-FIFO's split, fitted to a pager, which sees faults only and no hits.
//
//   probation   FIFO of pages on trial: pages that came for the first time, or refaulted too late to count
//   main        pages that proved useful. The victim is the oldest arrival of four random pages. Hits on mapped pages
//               are invisible, so arrival order is all there is. Followed strictly, it would evict all of a loop that
//               is a little larger than memory; ignored, it would keep for long what the program no longer uses
//   staging     the pager's: unmapped pages whose frame is still held, because they are being written or are kept a
//               little longer. A soft fault there proves use
//
// Let F be the number of frames. A hard fault is an early refault if the page was evicted from main at most F evictions
// ago, or from probation at most F/2. A little more room in that queue would have made it a hit. The page then goes to
// main, and probation shrinks by three frames (main) or grows by two (probation). Main weighs more because its pages
// have proved useful before; with equal weights, the many pages that are used only twice would crowd them out.
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
    /// `frames`: the limit. `main_slots`: storage for the main set, as many as there are links. `staging_percent`: the
    /// share of the frames to keep staged; small memories get a few more. 0: none, which costs almost no hits
    /// (bench/policy_replay: pager/second beside pager/zone).
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
    /// True if a little more room would have made the hard fault a hit; see the head of this file.
    [[nodiscard]] bool returned_early(const Arrival& arrival) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] FrameId oldest_of_a_few() FAULTLINE_SIGNAL_SAFE;
    void push_main(FrameId frame) FAULTLINE_SIGNAL_SAFE;
    void remove_main(FrameId frame) FAULTLINE_SIGNAL_SAFE;
    void learn(const Arrival& arrival) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::uint64_t random() FAULTLINE_SIGNAL_SAFE;

    std::span<FrameLinks> links_;
    std::span<FrameId> main_slots_;
    FrameQueue cold_;  // pages that the program has advised it does not need
    FrameQueue probation_;
    std::size_t main_size_ = 0;
    std::size_t frames_ = 0;
    std::size_t probation_target_ = 0;
    unsigned staging_percent_;
    std::uint32_t now_ = 0;         // arrivals in main; wraps
    bool memory_was_full_ = false;  // `victim` was called at least once
    std::uint64_t random_state_ = 0x9e37'79b9'7f4a'7c15;
};

}  // namespace faultline::policy
