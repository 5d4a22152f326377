// MainSet: what it holds, and which of a few random frames is the worst by each rule.
#include "policy/main_set.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <vector>

namespace faultline::test {
namespace {

using policy::FrameId;
using policy::RefaultInterval;
using policy::VictimRule;

class MainSet : public testing::Test {
protected:
    static constexpr std::size_t kFrames = 64;
    static constexpr std::uint32_t kTag = 2;

    /// Adds frames [first, end).
    void push(FrameId first, FrameId end, RefaultInterval interval) {
        for (FrameId frame = first; frame < end; ++frame) main_.push(frame, interval);
    }
    /// Returns how many of 1000 choices are frames at or above `first`.
    int chosen_from(FrameId first, VictimRule rule) {
        int count = 0;
        for (int i = 0; i < 1000; ++i) count += main_.worst(rule, kFrames, random_) >= first ? 1 : 0;
        return count;
    }

    std::vector<policy::FrameLinks> links_ = std::vector<policy::FrameLinks>(kFrames + 1);
    std::vector<FrameId> slots_ = std::vector<FrameId>(kFrames + 1);
    policy::MainSet main_{links_, slots_, kTag};
    policy::Random random_;
};

TEST_F(MainSet, HoldsWhatWasPushedAndNotRemoved) {
    push(1, 11, {});
    for (FrameId frame : {1U, 10U, 5U}) main_.remove(frame);
    EXPECT_EQ(main_.size(), 7U);
    for (FrameId frame = 1; frame <= 10; ++frame) {
        EXPECT_EQ(main_.has(frame), frame != 1 && frame != 5 && frame != 10) << frame;
    }
    std::set<FrameId> chosen;
    while (main_.size() > 0) {
        const FrameId frame = main_.worst(VictimRule::rarest, kFrames, random_);
        main_.remove(frame);
        chosen.insert(frame);
    }
    EXPECT_EQ(chosen, (std::set<FrameId>{2, 3, 4, 6, 7, 8, 9}));
}

TEST_F(MainSet, RemembersTheIntervalOfEachPage) {
    for (unsigned step = 0; step < RefaultInterval::kSteps; ++step) {
        main_.push(step + 1, RefaultInterval::at_step(step));
        EXPECT_EQ(main_.interval(step + 1).step(), step);
    }
}

// One of eight random frames is among the rare half in 255 of 256 cases.
TEST_F(MainSet, EvictsThePageUsedLeastOften) {
    push(33, 65, RefaultInterval::at_step(5));
    push(1, 33, RefaultInterval::at_step(0));
    EXPECT_GT(chosen_from(33, VictimRule::rarest), 970);
}

TEST_F(MainSet, EvictsTheOldestWhateverItsInterval) {
    push(1, 33, RefaultInterval::at_step(0));
    push(33, 65, RefaultInterval::at_step(5));
    EXPECT_LT(chosen_from(33, VictimRule::oldest), 100);
}

TEST_F(MainSet, EvictsTheOlderOfPagesUsedAlike) {
    push(1, 33, {});
    push(33, 65, {});
    EXPECT_LT(chosen_from(33, VictimRule::rarest), 30);
}

TEST_F(MainSet, SparesPagesSeenInUse) {
    push(1, 65, {});
    for (FrameId frame = 1; frame < 33; ++frame) main_.referenced(frame);
    EXPECT_EQ(main_.interval(1), RefaultInterval{}.shorter());
    EXPECT_EQ(main_.interval(40), RefaultInterval{});
    EXPECT_GT(chosen_from(33, VictimRule::rarest), 970);
    EXPECT_GT(chosen_from(33, VictimRule::oldest), 900);
}

}  // namespace
}  // namespace faultline::test
