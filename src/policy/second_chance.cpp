#include "policy/second_chance.hpp"

#include <algorithm>

namespace faultline::policy {
namespace {

constexpr std::uint32_t kProbationTag = 1;
constexpr std::uint32_t kMainTag = 2;
constexpr std::uint32_t kColdTag = 3;

// The target of probation in percent of the frames: at the start, and its bounds.
constexpr std::size_t kFirstProbation = 5;
constexpr std::size_t kLeastProbation = 2;
constexpr std::size_t kMostProbation = 80;

// Steps by which one early return raises or lowers the target. There are kStepsOfMemory in the frames, and a step is at
// least one frame.
constexpr std::size_t kGain = 2;
constexpr std::size_t kLoss = 3;
constexpr std::size_t kStepsOfMemory = 2048;

// The mean interval of main's victims is an exponential average over about so many, in units of 1 / kVictimsOfMean^2
// quarters.
constexpr std::uint64_t kVictimsOfMean = 256;

// A pager stages a few pages at a time. A staging zone that is smaller than two such batches gives no page a second
// chance. The zone takes at most a twentieth of a small memory.
constexpr std::size_t kLeastStaged = 16;
constexpr std::size_t kMostOfASmallMemory = 5;

constexpr std::size_t percent(std::size_t whole, std::size_t parts) noexcept { return whole * parts / 100; }

// What a victim's tag says: two bits of where the page was evicted from, three of its interval. A page that the pager
// evicted by name has the tag 0: it left main, and its interval is not known.
enum class Left : std::uint8_t { main, probation, main_as_oldest, main_as_rarest };

constexpr std::uint8_t tag_of(Left left, RefaultInterval interval) noexcept {
    return static_cast<std::uint8_t>(static_cast<unsigned>(left) | (interval.step() ^ RefaultInterval{}.step()) << 2);
}
constexpr Left left_of(std::uint8_t tag) noexcept { return static_cast<Left>(tag & 3U); }
constexpr RefaultInterval interval_of(std::uint8_t tag) noexcept {
    return RefaultInterval::at_step((tag >> 2) ^ RefaultInterval{}.step());
}
static_assert(tag_of(Left::main, RefaultInterval{}) == 0);
static_assert((RefaultInterval::kSteps - 1) < 8 && Victim::kMaxTag == 31);

constexpr Left left_main_by(VictimDuel::Turn turn) noexcept {
    if (!turn.counts) return Left::main;
    return turn.rule == VictimRule::oldest ? Left::main_as_oldest : Left::main_as_rarest;
}

// A page that was seen to be used while it was mapped or staged.
constexpr RefaultInterval kInUse = RefaultInterval::at_step(0);

}  // namespace

SecondChance::SecondChance(std::span<FrameLinks> links, std::span<FrameId> main_slots, std::size_t frames,
                           unsigned staging_percent) noexcept
    : links_{links},
      cold_{links, kColdTag},
      probation_{links, kProbationTag},
      main_{links, main_slots, kMainTag},
      frames_{frames},
      probation_target_{percent(frames, kFirstProbation)},
      victims_interval_{kVictimsOfMean * kVictimsOfMean * RefaultInterval{}.quarters()},  // as if they were new pages
      staging_percent_{staging_percent} {}

void SecondChance::resized(std::size_t frames) FAULTLINE_SIGNAL_SAFE {
    // What was learned stays: the target is a share of the memory, and the memory may change in small steps all the
    // time.
    probation_target_ = frames_ == 0 || !memory_was_full_
                            ? percent(frames, kFirstProbation)
                            : std::clamp(static_cast<std::size_t>(std::uint64_t{probation_target_} * frames / frames_),
                                         percent(frames, kLeastProbation), percent(frames, kMostProbation));
    frames_ = frames;
}

std::size_t SecondChance::staging_target(std::size_t frames) const FAULTLINE_SIGNAL_SAFE {
    if (staging_percent_ == 0) return 0;
    return std::max(percent(frames, staging_percent_), std::min(kLeastStaged, percent(frames, kMostOfASmallMemory)));
}

void SecondChance::mapped(FrameId frame, const Arrival& arrival) FAULTLINE_SIGNAL_SAFE {
    switch (arrival.kind) {
        case Arrival::Kind::soft_fault:
            main_.push(frame, kInUse);
            return;
        case Arrival::Kind::read_ahead:
            put_on_probation(frame, {});
            return;
        case Arrival::Kind::first_touch:
            // While memory fills for the first time no page has been evicted, so all are equal.
            if (memory_was_full_) {
                put_on_probation(frame, {});
            } else {
                main_.push(frame, {});
            }
            return;
        case Arrival::Kind::hard_fault:
            mapped_again(frame, arrival);
            return;
    }
}

void SecondChance::mapped_again(FrameId frame, const Arrival& arrival) FAULTLINE_SIGNAL_SAFE {
    const RefaultInterval interval = interval_of(arrival.tag).after(arrival.evictions_ago, frames_);
    const bool early = arrival.evictions_ago <= (left_of(arrival.tag) == Left::probation ? frames_ / 2 : frames_);
    if (early) learn(arrival.tag);
    const bool often_used = duel_.winner() == VictimRule::rarest &&
                            interval.quarters() * kVictimsOfMean * kVictimsOfMean < victims_interval_;
    if (early || often_used) {
        main_.push(frame, interval);
    } else {
        put_on_probation(frame, interval);
    }
}

void SecondChance::learn(std::uint8_t tag) FAULTLINE_SIGNAL_SAFE {
    const std::size_t step = std::max<std::size_t>(frames_ / kStepsOfMemory, 1);
    const std::size_t loss = kLoss * step;
    switch (left_of(tag)) {
        case Left::probation:
            probation_target_ = std::min(probation_target_ + kGain * step, percent(frames_, kMostProbation));
            return;
        case Left::main_as_oldest:
            duel_.returned_early(VictimRule::oldest);
            break;
        case Left::main_as_rarest:
            duel_.returned_early(VictimRule::rarest);
            break;
        case Left::main:
            break;
    }
    probation_target_ = std::max(probation_target_, percent(frames_, kLeastProbation) + loss) - loss;
}

void SecondChance::referenced(FrameId frame) FAULTLINE_SIGNAL_SAFE {
    if (main_.has(frame)) main_.referenced(frame);
    if (!probation_.has(frame)) return;
    probation_.remove(frame);
    main_.push(frame, kInUse);
}

Victim SecondChance::victim() FAULTLINE_SIGNAL_SAFE {
    memory_was_full_ = true;
    if (!cold_.empty()) return {cold_.pop_oldest(), tag_of(Left::main, {})};
    if (!probation_.empty() && (probation_.size() > probation_target_ || main_.size() == 0)) {
        const FrameId oldest = probation_.oldest();
        const auto interval = RefaultInterval::at_step(links_[oldest].note());
        probation_.remove(oldest);
        return {oldest, tag_of(Left::probation, interval)};
    }
    return main_.size() == 0 ? Victim{} : main_victim();
}

Victim SecondChance::main_victim() FAULTLINE_SIGNAL_SAFE {
    const VictimDuel::Turn turn = duel_.next(random_.next());
    const FrameId frame = main_.worst(turn.rule, frames_, random_);
    const RefaultInterval interval = main_.interval(frame);
    victims_interval_ += interval.quarters() * kVictimsOfMean - victims_interval_ / kVictimsOfMean;
    main_.remove(frame);
    return {frame, tag_of(left_main_by(turn), interval)};
}

void SecondChance::put_back(FrameId frame) FAULTLINE_SIGNAL_SAFE { main_.push(frame, kInUse); }

void SecondChance::put_on_probation(FrameId frame, RefaultInterval interval) FAULTLINE_SIGNAL_SAFE {
    probation_.push_newest(frame, interval.step());
}

void SecondChance::demote(FrameId frame) FAULTLINE_SIGNAL_SAFE {
    if (links_[frame].queue == 0) return;
    removed(frame);
    cold_.push_newest(frame);
}

void SecondChance::removed(FrameId frame) FAULTLINE_SIGNAL_SAFE {
    if (cold_.has(frame)) cold_.remove(frame);
    if (probation_.has(frame)) probation_.remove(frame);
    if (main_.has(frame)) main_.remove(frame);
}

}  // namespace faultline::policy
