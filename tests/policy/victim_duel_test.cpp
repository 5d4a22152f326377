// VictimDuel: both rules are tried all the time, and the one whose victims return less often chooses the others.
#include "policy/victim_duel.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace faultline::test {
namespace {

using policy::VictimDuel;
using policy::VictimRule;

void return_early(VictimDuel& duel, VictimRule rule, int times) {
    for (int i = 0; i < times; ++i) duel.returned_early(rule);
}

TEST(VictimDuel, GivesEachRuleAnEighthOfTheTurns) {
    VictimDuel duel;
    int counted_oldest = 0;
    int counted_rarest = 0;
    for (std::uint64_t random = 0; random < 800; ++random) {
        const VictimDuel::Turn turn = duel.next(random);
        if (!turn.counts) {
            EXPECT_EQ(turn.rule, duel.winner());
            continue;
        }
        ++(turn.rule == VictimRule::oldest ? counted_oldest : counted_rarest);
    }
    EXPECT_EQ(counted_oldest, 100);
    EXPECT_EQ(counted_rarest, 100);
}

TEST(VictimDuel, PrefersTheRarestAsLongAsTheRulesAreAlike) {
    VictimDuel duel;
    EXPECT_EQ(duel.winner(), VictimRule::rarest);
    for (int i = 0; i < 1000; ++i) {
        duel.returned_early(VictimRule::oldest);
        duel.returned_early(VictimRule::rarest);
        ASSERT_EQ(duel.winner(), VictimRule::rarest) << "after " << i;
    }
}

TEST(VictimDuel, FollowsTheRuleWhoseVictimsReturnLess) {
    VictimDuel duel;
    return_early(duel, VictimRule::rarest, 10);
    EXPECT_EQ(duel.winner(), VictimRule::oldest);
    return_early(duel, VictimRule::oldest, 20);
    EXPECT_EQ(duel.winner(), VictimRule::rarest);
}

TEST(VictimDuel, ForgetsALongPast) {
    VictimDuel duel;
    return_early(duel, VictimRule::rarest, 1'000'000);
    EXPECT_EQ(duel.winner(), VictimRule::oldest);
    return_early(duel, VictimRule::oldest, 100);
    EXPECT_EQ(duel.winner(), VictimRule::rarest);
}

}  // namespace
}  // namespace faultline::test
