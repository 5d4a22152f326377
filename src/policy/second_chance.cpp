#include "policy/second_chance.hpp"

#include <algorithm>

namespace faultline::policy {
namespace {

constexpr std::uint32_t kProbationTag = 1;
constexpr std::uint32_t kMainTag = 2;
constexpr std::uint32_t kColdTag = 3;

// `Victim::tag`: the queue that the page was evicted from.
constexpr std::uint8_t kLeftMain = 0;
constexpr std::uint8_t kLeftProbation = 1;

// The target of probation in percent of the frames: at the start, and its bounds.
constexpr std::size_t kFirstProbation = 5;
constexpr std::size_t kLeastProbation = 2;
constexpr std::size_t kMostProbation = 80;

// Frames by which one early refault raises or lowers the target.
constexpr std::size_t kGain = 2;
constexpr std::size_t kLoss = 3;

constexpr int kCandidates = 4;

// A pager stages a few pages at a time. A staging zone that is smaller than two such batches gives no page a second
// chance. The zone takes at most a twentieth of a small memory.
constexpr std::size_t kLeastStaged = 16;
constexpr std::size_t kMostOfASmallMemory = 5;

constexpr std::size_t percent(std::size_t whole, std::size_t parts) noexcept { return whole * parts / 100; }

}  // namespace

SecondChance::SecondChance(std::span<FrameLinks> links, std::span<FrameId> main_slots, std::size_t frames,
                           unsigned staging_percent) noexcept
    : links_{links},
      main_slots_{main_slots},
      cold_{links, kColdTag},
      probation_{links, kProbationTag},
      staging_percent_{staging_percent} {
    resized(frames);
}

void SecondChance::resized(std::size_t frames) FAULTLINE_SIGNAL_SAFE {
    frames_ = frames;
    probation_target_ = percent(frames, kFirstProbation);
}

std::size_t SecondChance::staging_target(std::size_t frames) const FAULTLINE_SIGNAL_SAFE {
    if (staging_percent_ == 0) return 0;
    return std::max(percent(frames, staging_percent_), std::min(kLeastStaged, percent(frames, kMostOfASmallMemory)));
}

void SecondChance::mapped(FrameId frame, const Arrival& arrival) FAULTLINE_SIGNAL_SAFE {
    switch (arrival.kind) {
        case Arrival::Kind::soft_fault:
            push_main(frame);
            return;
        case Arrival::Kind::read_ahead:
            probation_.push_newest(frame);
            return;
        case Arrival::Kind::first_touch:
            // While memory fills for the first time no page has been evicted, so all are equal.
            if (memory_was_full_) {
                probation_.push_newest(frame);
            } else {
                push_main(frame);
            }
            return;
        case Arrival::Kind::hard_fault:
            if (!returned_early(arrival)) {
                probation_.push_newest(frame);
                return;
            }
            learn(arrival);
            push_main(frame);
            return;
    }
}

bool SecondChance::returned_early(const Arrival& arrival) const FAULTLINE_SIGNAL_SAFE {
    return arrival.evictions_ago <= (arrival.tag == kLeftProbation ? frames_ / 2 : frames_);
}

void SecondChance::learn(const Arrival& arrival) FAULTLINE_SIGNAL_SAFE {
    if (arrival.tag == kLeftProbation) {
        probation_target_ = std::min(probation_target_ + kGain, percent(frames_, kMostProbation));
    } else {
        probation_target_ = std::max(probation_target_, percent(frames_, kLeastProbation) + kLoss) - kLoss;
    }
}

Victim SecondChance::victim() FAULTLINE_SIGNAL_SAFE {
    memory_was_full_ = true;
    if (!cold_.empty()) return {cold_.pop_oldest(), kLeftMain};
    if (!probation_.empty() && (probation_.size() > probation_target_ || main_size_ == 0)) {
        return {probation_.pop_oldest(), kLeftProbation};
    }
    if (main_size_ == 0) return {};
    const FrameId frame = oldest_of_a_few();
    remove_main(frame);
    return {frame, kLeftMain};
}

void SecondChance::demote(FrameId frame) FAULTLINE_SIGNAL_SAFE {
    if (links_[frame].queue == 0) return;
    removed(frame);
    cold_.push_newest(frame);
}

void SecondChance::removed(FrameId frame) FAULTLINE_SIGNAL_SAFE {
    if (links_[frame].queue == kColdTag) cold_.remove(frame);
    if (links_[frame].queue == kProbationTag) probation_.remove(frame);
    if (links_[frame].queue == kMainTag) remove_main(frame);
}

// The main set is an unordered array. A frame's links hold its index in the array (`previous`) and its arrival
// (`next`).

FrameId SecondChance::oldest_of_a_few() FAULTLINE_SIGNAL_SAFE {
    FrameId oldest = main_slots_[random() % main_size_];
    for (int others = kCandidates - 1; others > 0; --others) {
        const FrameId other = main_slots_[random() % main_size_];
        // Compare ages, not arrivals: the 32-bit arrival counter wraps.
        if (now_ - links_[other].next > now_ - links_[oldest].next) oldest = other;
    }
    return oldest;
}

void SecondChance::push_main(FrameId frame) FAULTLINE_SIGNAL_SAFE {
    FAULTLINE_INVARIANT(links_[frame].queue == 0);
    main_slots_[main_size_] = frame;
    links_[frame] = {static_cast<FrameId>(main_size_), now_++, kMainTag};
    ++main_size_;
}

void SecondChance::remove_main(FrameId frame) FAULTLINE_SIGNAL_SAFE {
    const FrameId index = links_[frame].previous;
    const FrameId last = main_slots_[main_size_ - 1];
    main_slots_[index] = last;
    links_[last].previous = index;
    links_[frame] = {};
    --main_size_;
}

// xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled" (2016).
std::uint64_t SecondChance::random() FAULTLINE_SIGNAL_SAFE {
    random_state_ ^= random_state_ >> 12;
    random_state_ ^= random_state_ << 25;
    random_state_ ^= random_state_ >> 27;
    return random_state_ * 0x2545'f491'4f6c'dd1d;
}

}  // namespace faultline::policy
