#include "policy/main_set.hpp"

namespace faultline::policy {
namespace {

// Frames that are compared. The oldest of more would come near to strict order, which evicts all of a loop that is a
// little larger than memory.
constexpr int kCandidatesByAge = 4;
constexpr int kCandidatesByUse = 8;

}  // namespace

void MainSet::push(FrameId frame, RefaultInterval interval) FAULTLINE_SIGNAL_SAFE {
    FAULTLINE_INVARIANT(links_[frame].queue == 0);
    slots_[size_] = frame;
    links_[frame] = {static_cast<FrameId>(size_), now_++, noted(interval)};
    ++size_;
}

void MainSet::remove(FrameId frame) FAULTLINE_SIGNAL_SAFE {
    FAULTLINE_INVARIANT(has(frame));
    const FrameId slot = links_[frame].previous;
    const FrameId last = slots_[size_ - 1];
    slots_[slot] = last;
    links_[last].previous = slot;
    links_[frame] = {};
    --size_;
}

void MainSet::referenced(FrameId frame) FAULTLINE_SIGNAL_SAFE {
    FrameLinks& links = links_[frame];
    links = {links.previous, now_, noted(interval(frame).shorter())};
}

FrameId MainSet::worst(VictimRule rule, std::size_t frames, Random& random) const FAULTLINE_SIGNAL_SAFE {
    FAULTLINE_INVARIANT(size_ > 0);
    const bool by_age = rule == VictimRule::oldest;
    const auto badness = [&](FrameId frame) { return by_age ? age(frame) : expected_absence(frame, frames); };
    FrameId worst = slots_[random.next() % size_];
    std::uint64_t most = badness(worst);
    for (int others = (by_age ? kCandidatesByAge : kCandidatesByUse) - 1; others > 0; --others) {
        const FrameId other = slots_[random.next() % size_];
        const std::uint64_t of_other = badness(other);
        if (of_other <= most) continue;
        worst = other;
        most = of_other;
    }
    return worst;
}

}  // namespace faultline::policy
