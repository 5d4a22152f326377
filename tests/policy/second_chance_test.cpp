// SecondChance's rules, as the head of policy/second_chance.hpp states them.
#include "policy/second_chance.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

namespace faultline::test {
namespace {

using policy::Arrival;
using policy::FrameId;
using policy::kNoFrame;
using policy::Victim;

constexpr std::uint8_t kLeftMain = 0;
constexpr std::uint8_t kLeftProbation = 1;

class SecondChance : public testing::Test {
protected:
    using Kind = policy::Arrival::Kind;
    static constexpr std::size_t kFrames = 100;

    /// Maps a page into the next unused frame.
    FrameId map(const Arrival& arrival) {
        policy_.mapped(++last_frame_, arrival);
        return last_frame_;
    }
    void map_many(std::size_t count, const Arrival& arrival) {
        for (std::size_t i = 0; i < count; ++i) map(arrival);
    }

    /// Makes the policy know that memory has been full.
    void press() { ASSERT_EQ(policy_.victim().frame, kNoFrame); }

    void expect_sizes(std::size_t probation, std::size_t main) const {
        EXPECT_EQ(policy_.probation_size(), probation);
        EXPECT_EQ(policy_.main_size(), main);
    }

    static constexpr std::size_t kLinks = 1000;
    std::vector<policy::FrameLinks> links_ = std::vector<policy::FrameLinks>(kLinks);
    std::vector<FrameId> main_slots_ = std::vector<FrameId>(kLinks);
    policy::SecondChance policy_{links_, main_slots_, kFrames, 3};
    FrameId last_frame_ = kNoFrame;
};

TEST_F(SecondChance, TakesPagesIntoMainWhileMemoryFirstFills) {
    map_many(50, {Kind::first_touch});
    expect_sizes(0, 50);
}

TEST_F(SecondChance, PutsNewPagesOnProbationOnceMemoryWasFull) {
    press();
    map({Kind::first_touch});
    expect_sizes(1, 0);
}

TEST_F(SecondChance, PutsPrefetchedPagesOnProbation) {
    map({Kind::read_ahead});
    expect_sizes(1, 0);
}

TEST_F(SecondChance, PutsASoftFaultIntoMain) {
    press();
    map({Kind::soft_fault});
    expect_sizes(0, 1);
}

TEST_F(SecondChance, TellsAnEarlyRefaultFromALateOne) {
    map({Kind::hard_fault, kFrames, kLeftMain});
    expect_sizes(0, 1);
    map({Kind::hard_fault, kFrames + 1, kLeftMain});
    expect_sizes(1, 1);
}

TEST_F(SecondChance, HalvesTheEarlyRefaultDistanceForProbation) {
    const std::size_t target = policy_.probation_target();
    map({Kind::hard_fault, kFrames / 2 + 1, kLeftProbation});
    EXPECT_EQ(policy_.probation_target(), target);
    map({Kind::hard_fault, kFrames / 2, kLeftProbation});
    EXPECT_GT(policy_.probation_target(), target);
}

// A new page is taken for one that returns after twice the frames. The mean with half the frames is nearest to once.
TEST_F(SecondChance, TakesAPageIntoMainThatIsUsedMoreOftenThanMainsVictims) {
    map({Kind::hard_fault, kFrames / 2 + 1, kLeftProbation});
    expect_sizes(0, 1);
    map({Kind::hard_fault, 2 * kFrames, kLeftProbation});
    expect_sizes(1, 1);
}

TEST_F(SecondChance, TakesNoPageOfAScanIntoMain) {
    press();
    map_many(kFrames, {Kind::soft_fault});
    for (const std::size_t distance : {kFrames * 3 / 2, 3 * kFrames, 20 * kFrames}) {
        std::uint8_t tag = 0;
        for (int round = 0; round < 10; ++round) {
            const FrameId frame = map({Kind::hard_fault, static_cast<std::uint32_t>(distance), tag});
            ASSERT_EQ(policy_.probation_size(), 1U) << "distance " << distance << ", round " << round;
            policy_.demote(frame);  // so that it is the next victim
            tag = policy_.victim().tag;
        }
    }
}

TEST_F(SecondChance, KnowsAnAbsentPageByItsTag) {
    press();
    map_many(20, {Kind::soft_fault});
    const auto tag_after = [&](std::uint32_t distance) {
        map({Kind::hard_fault, distance, kLeftProbation});
        map_many(policy_.probation_target(), {Kind::first_touch});
        return policy_.victim().tag;
    };
    const std::uint8_t rare = tag_after(8 * kFrames);
    const std::uint8_t usual = tag_after(2 * kFrames);
    EXPECT_EQ(usual, kLeftProbation);
    EXPECT_NE(rare, usual);
    EXPECT_LE(rare, Victim::kMaxTag);
    // The rare page's mean with half the frames is still above that of main's victims.
    const std::size_t main = policy_.main_size();
    map({Kind::hard_fault, kFrames / 2 + 1, rare});
    EXPECT_EQ(policy_.main_size(), main);
    map({Kind::hard_fault, kFrames / 2 + 1, usual});
    EXPECT_EQ(policy_.main_size(), main + 1);
}

TEST_F(SecondChance, TakesAPageSeenInUseFromProbationIntoMain) {
    press();
    const FrameId frame = map({Kind::first_touch});
    policy_.referenced(frame);
    expect_sizes(0, 1);
    const FrameId other = map({Kind::first_touch});
    EXPECT_EQ(policy_.victim().frame, frame) << "probation is at its target";
    policy_.referenced(frame);  // a victim by now
    EXPECT_EQ(policy_.victim().frame, other);
}

TEST_F(SecondChance, GivesProbationATwentiethAtFirst) { EXPECT_EQ(policy_.probation_target(), kFrames / 20); }

TEST_F(SecondChance, ResizesProbationByTheQueueOfAnEarlyRefault) {
    const std::size_t target = policy_.probation_target();
    map({Kind::hard_fault, 1, kLeftProbation});
    EXPECT_EQ(policy_.probation_target(), target + 2);
    map({Kind::hard_fault, 1, kLeftMain});
    EXPECT_EQ(policy_.probation_target(), target - 1);
}

TEST_F(SecondChance, LearnsNothingFromALateRefault) {
    const std::size_t target = policy_.probation_target();
    map({Kind::hard_fault, kFrames / 2 + 1, kLeftProbation});
    map({Kind::hard_fault, kFrames + 1, kLeftMain});
    EXPECT_EQ(policy_.probation_target(), target);
}

TEST_F(SecondChance, KeepsProbationBetweenTwoAndEightyPercent) {
    map_many(kFrames, {Kind::hard_fault, 1, kLeftProbation});
    EXPECT_EQ(policy_.probation_target(), kFrames * 80 / 100);
    map_many(kFrames, {Kind::hard_fault, 1, kLeftMain});
    EXPECT_EQ(policy_.probation_target(), kFrames * 2 / 100);
}

TEST_F(SecondChance, EvictsProbationInOrderWhileItIsAboveItsTarget) {
    press();
    map_many(20, {Kind::soft_fault});
    map_many(policy_.probation_target() + 5, {Kind::first_touch});
    for (FrameId oldest = 21; oldest < 26; ++oldest) {
        const Victim victim = policy_.victim();
        EXPECT_EQ(victim.frame, oldest);
        EXPECT_EQ(victim.tag, kLeftProbation);
    }
    const Victim victim = policy_.victim();
    EXPECT_LE(victim.frame, 20U) << "a frame of main: probation is down to its target";
    EXPECT_NE(victim.tag, kLeftProbation);
    expect_sizes(policy_.probation_target(), 19);
}

TEST_F(SecondChance, EvictsTheLastOfProbationWhenMainIsEmpty) {
    press();
    map_many(3, {Kind::first_touch});
    for (FrameId frame : {1U, 2U, 3U}) EXPECT_EQ(policy_.victim().frame, frame);
    EXPECT_EQ(policy_.victim().frame, kNoFrame);
}

TEST_F(SecondChance, EvictsEveryPageOfMainInRandomOrder) {
    map_many(kFrames, {Kind::first_touch});
    std::vector<FrameId> order;
    for (std::size_t i = 0; i < kFrames; ++i) order.push_back(policy_.victim().frame);
    EXPECT_EQ(std::set<FrameId>(order.begin(), order.end()).size(), kFrames);
    EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
    EXPECT_FALSE(std::is_sorted(order.rbegin(), order.rend()));
}

/// Returns the mean arrival number of the victims. `policy` has mapped pages 1 to `mapped`; half of them are evicted.
double mean_arrival(policy::SecondChance& policy, std::size_t mapped) {
    double sum = 0;
    for (std::size_t i = 0; i < mapped / 2; ++i) sum += policy.victim().frame;
    return sum / static_cast<double>(mapped / 2);
}

// The mean of a random half is 300, that of the older half 150.
TEST_F(SecondChance, PrefersEarlierArrivalsAmongMainsVictims) {
    map_many(600, {Kind::first_touch});
    const double arrival = mean_arrival(policy_, 600);
    EXPECT_LT(arrival, 230);
    EXPECT_GT(arrival, 154) << "strict order would evict all of a loop a little larger than memory";
}

TEST_F(SecondChance, TreatsAVictimPutBackAsUsed) {
    press();
    map({Kind::first_touch});
    policy_.put_back(policy_.victim().frame);
    expect_sizes(0, 1);
}

TEST_F(SecondChance, EvictsDemotedFramesFirstInTheOrderOfDemotion) {
    press();
    map_many(50, {Kind::soft_fault});   // main
    map_many(20, {Kind::first_touch});  // probation
    for (FrameId frame : {60U, 7U, 70U}) policy_.demote(frame);
    policy_.removed(7);
    for (FrameId frame : {60U, 70U}) EXPECT_EQ(policy_.victim().frame, frame);
    policy_.demote(60);  // already a victim
    EXPECT_EQ(policy_.victim().frame, 51U) << "probation is above its target";
    expect_sizes(17, 49);
}

TEST_F(SecondChance, StagesTheGivenPercentageOfMemory) {
    EXPECT_EQ(policy_.staging_target(10'000), 300U);
    EXPECT_EQ(policy_.staging_target(0), 0U);
    const policy::SecondChance none{links_, main_slots_, kFrames, 0};
    EXPECT_EQ(none.staging_target(10'000), 0U);
}

TEST_F(SecondChance, StagesAFewPagesInASmallMemory) {
    EXPECT_EQ(policy_.staging_target(500), 16U);
    EXPECT_EQ(policy_.staging_target(300), 15U) << "a twentieth";
}

TEST_F(SecondChance, MeasuresRefaultsByTheNewLimit) {
    policy_.resized(2 * kFrames);
    EXPECT_EQ(policy_.probation_target(), 2 * kFrames / 20);
    map({Kind::hard_fault, kFrames + 1, kLeftMain});
    expect_sizes(0, 1);
}

}  // namespace
}  // namespace faultline::test
