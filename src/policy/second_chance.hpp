// SecondChance: S3-FIFO's split, fitted to a pager, which sees faults only and hardly any hits.
//
//   probation   FIFO of pages on trial: pages that came for the first time, or whose return says that they are rare
//   main        pages that proved useful (MainSet). Its victim is the worst of a few random pages, by one of two rules
//               that compete (VictimDuel): the oldest, or the one that the program uses least often
//   staging     the pager's: unmapped pages whose frame is still held, because they are being written or are kept a
//               little longer. A soft fault there proves use
//
// What is known of a page is how long it stays away between eviction and fault: its RefaultInterval, which travels in
// the absent page's word. Let F be the number of frames. A page that comes back goes to main
//   - if it returns early: evicted from main at most F evictions ago, or from probation at most F/2. A little more room
//     in that queue would have made the fault a hit
//   - or, while the rule `rarest` is ahead, if its interval is shorter than the mean of main's last victims. In a scan
//     all intervals are alike, so no page is admitted and main keeps what it has
// An early return also moves the border: probation shrinks by three steps (main) or grows by two (probation). A step is
// 1/2000 of the frames, so a thousand faults can move it all the way. Main weighs more because its pages have proved
// useful before; with equal weights, the many pages that are used only twice would crowd them out.
//
// Ideas: Yang et al., "FIFO queues are all you need for cache eviction" (SOSP 2023); refault distance: Linux
// mm/workingset.c; the staging zone: VMS's modified page list; the oldest of a few random pages: approximated LRU as in
// Psounis and Prabhakar, "Efficient randomized web-cache replacement schemes using samples from past eviction times"
// (2002); admission by comparison with the victim: Einziger et al., "TinyLFU" (2017). The figures, here and in
// second_chance.cpp, were found by replaying the tuning suite of bench/policy_replay.
#pragma once

#include "policy/frame_queue.hpp"
#include "policy/main_set.hpp"
#include "policy/random.hpp"
#include "policy/refault_interval.hpp"
#include "policy/victim_duel.hpp"

namespace faultline::policy {

class SecondChance : public ReplacementPolicy {
public:
    /// `frames`: the limit. `main_slots`: storage for the main set, as many as there are links. `staging_percent`: the
    /// share of the frames to keep staged; small memories get a few more. 0: none, which costs almost no hits
    /// (bench/policy_replay: pager/second beside pager/zone).
    SecondChance(std::span<FrameLinks> links, std::span<FrameId> main_slots, std::size_t frames,
                 unsigned staging_percent) noexcept;

    void mapped(FrameId frame, const Arrival& arrival) FAULTLINE_SIGNAL_SAFE override;
    void referenced(FrameId frame) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] Victim victim() FAULTLINE_SIGNAL_SAFE override;
    void put_back(FrameId frame) FAULTLINE_SIGNAL_SAFE override;
    void removed(FrameId frame) FAULTLINE_SIGNAL_SAFE override;
    void demote(FrameId frame) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] std::size_t staging_target(std::size_t frames) const FAULTLINE_SIGNAL_SAFE override;
    void resized(std::size_t frames) FAULTLINE_SIGNAL_SAFE override;

    [[nodiscard]] std::size_t probation_size() const noexcept { return probation_.size(); }
    [[nodiscard]] std::size_t probation_target() const noexcept { return probation_target_; }
    [[nodiscard]] std::size_t main_size() const noexcept { return main_.size(); }

private:
    void mapped_again(FrameId frame, const Arrival& arrival) FAULTLINE_SIGNAL_SAFE;
    /// Learns from an early return.
    void learn(std::uint8_t tag) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Victim main_victim() FAULTLINE_SIGNAL_SAFE;
    void put_on_probation(FrameId frame, RefaultInterval interval) FAULTLINE_SIGNAL_SAFE;

    std::span<FrameLinks> links_;
    FrameQueue cold_;  // pages that the program has advised it does not need
    FrameQueue probation_;
    MainSet main_;
    VictimDuel duel_;
    Random random_;
    std::size_t frames_;
    std::size_t probation_target_;
    std::uint64_t victims_interval_;  // the mean of main's last victims; see kVictimsOfMean
    unsigned staging_percent_;
    bool memory_was_full_ = false;  // `victim` was called at least once
};

}  // namespace faultline::policy
