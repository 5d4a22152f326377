// Fork: parent and child read the earlier bytes and then their own writes, whatever the other does. The tests compare
// with what they remember, in both processes.
#include "store/fork_helpers.hpp"
#include "store/swap_fixture.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <random>

namespace faultline::test {
namespace {

using store::ForkSide;
using store::SwapSpace;

class ForkedSwapSpace : public SwapSpaceOn {};

TEST_P(ForkedSwapSpace, BothSidesReadWhatWasThereAndThenEachItsOwn) {
    Remembered& region = swap().region(64);
    region.write_all(1);
    region.discard(60, 4);
    Signal parent_wrote;
    Signal child_wrote;
    const pid_t child = fork_with(swap(), [&] {
        region.check();
        region.write_version(0, 16, 2);
        EXPECT_EQ(parent_wrote.wait(), '.');
        region.check();
        region.check(16);
        child_wrote.send();
    });
    region.check();
    region.write_version(8, 16, 3);
    region.write_version(40, 1, 3);
    parent_wrote.send();
    EXPECT_EQ(child_wrote.wait(), '.');
    region.check();
    region.check(16);
    expect_good_end_of(child);
    region.check(7);
}

TEST_P(ForkedSwapSpace, WhatOneSideDiscardsTheOtherKeeps) {
    Remembered& region = swap().region(32);
    region.write_all(1);
    Signal child_discarded;
    Signal parent_discarded;
    const pid_t child = fork_with(swap(), [&] {
        region.discard(0, 16);
        child_discarded.send();
        EXPECT_EQ(parent_discarded.wait(), '.');
        region.check(5);
    });
    EXPECT_EQ(child_discarded.wait(), '.');
    region.check(5);
    region.discard(16, 16);
    parent_discarded.send();
    expect_good_end_of(child);
    region.check(5);
}

TEST_P(ForkedSwapSpace, ARegionThatGoesOnOneSideStaysOnTheOther) {
    Remembered& region = swap().region(32);
    region.write_all(1);
    as_if_forked(swap());
    region.write_version(0, 8, 2);
    Signal parents_is_gone;
    const pid_t child = fork_with(swap(), [&] {
        EXPECT_EQ(parents_is_gone.wait(), '.');
        region.check(4);
        swap().close(region);
        EXPECT_EQ(swap().space().frozen_files(), 0U);
    });
    swap().close(region);
    parents_is_gone.send();
    expect_good_end_of(child);
}

TEST_P(ForkedSwapSpace, AParentMayEndFirst) {
    Signal verdict;
    Signal parent_lives;
    const pid_t parent = ::fork();
    if (parent == 0) {
        SwapMachine own{directory_.path(), limit()};
        Remembered& region = own.region(32);
        region.write_all(1);
        fork_with(own, [&] {
            parent_lives.no_more();
            EXPECT_EQ(parent_lives.wait(), '\0');  // until the parent, the last possible sender, has ended
            region.check(8);
            region.write_version(0, 8, 2);
            region.check(8);
            verdict.send(HasFailure() ? 'b' : 'g');
        });
        region.write_version(0, 16, 3);
        exit_with_verdict();
    }
    parent_lives.no_more();
    expect_good_end_of(parent);
    EXPECT_EQ(verdict.wait(), 'g');
}

/// In each generation: changes some pages, forks, and continues in both the child and this process.
void live(SwapMachine& swap, Remembered& region, std::mt19937_64& random, int generations) {
    region.churn(random, 20);
    if (generations > 0) {
        for (int birth = 0; birth < 2; ++birth) {
            const std::uint64_t seed = random();
            const pid_t child = fork_with(swap, [&] {
                std::mt19937_64 own{seed};
                live(swap, region, own, generations - 1);
            });
            region.churn(random, 20);
            region.check(3);
            expect_good_end_of(child);
        }
    }
    region.check();
    region.check(16);
}

TEST_P(ForkedSwapSpace, GrandchildrenSeeTheirOwnLineAndNoOther) {
    std::mt19937_64 random{printed_seed()};
    live(swap(), swap().region(100), random, 3);
}

TEST_P(ForkedSwapSpace, AChainOfFortyForksKeepsAllContentsAndFewFiles) {
    Remembered& region = swap().region(100);
    Remembered& large = swap().region(4, 65536);
    region.write_all(1);
    large.write_all(1);
    const std::function<void(std::uint64_t)> live = [&](std::uint64_t generation) {
        region.write_version(generation * 2, 2, generation + 10);
        large.write_version(generation % 4, 1, generation + 10);
        EXPECT_LE(swap().space().frozen_files(), SwapSpace::kMostFrozen + 1);
        if (generation < 40) expect_good_end_of(fork_with(swap(), [&] { live(generation + 1); }));
        region.check(16);
        large.check();
    };
    live(0);
}

TEST_P(ForkedSwapSpace, AChildForksWhileItsParentWrites) {
    std::mt19937_64 random{printed_seed()};
    Remembered& region = swap().region(100);
    region.write_all(1);
    const pid_t child = fork_with(swap(), [&] {
        for (std::uint64_t round = 0; round < 5; ++round) {
            const pid_t grandchild = fork_with(swap(), [&] { region.check(16); });
            region.churn(random, 30);
            expect_good_end_of(grandchild);
        }
        region.check(16);
    });
    for (int round = 0; round < 5; ++round) {
        region.churn(random, 30);
        region.check(16);
    }
    expect_good_end_of(child);
    region.check(16);
}

TEST_P(ForkedSwapSpace, AChildOpensRegionsOfItsOwn) {
    Remembered& region = swap().region(64);
    region.write_all(1);
    const pid_t child = fork_with(swap(), [&] {
        Remembered& another = swap().region(64);
        another.write_all(7);
        region.write_version(0, 32, 8);
        another.check(16);
        region.check(16);
    });
    Remembered& another = swap().region(64);
    another.write_all(5);
    expect_good_end_of(child);
    another.check(16);
    region.check(16);
}

TEST_P(ForkedSwapSpace, AChildSharesPagesBetweenRegionsAsItsParentDid) {
    Remembered& region = swap().region(64);
    region.write_all(1);
    Remembered& clone = swap().clone_of(region);
    region.write_version(0, 16, 2);
    const pid_t child = fork_with(swap(), [&] {
        clone.write_version(8, 16, 3);
        region.discard(40, 8);
        region.check(16);
        clone.check(16);
    });
    clone.discard(0, 64);
    expect_good_end_of(child);
    region.check(16);
}

TEST_P(ForkedSwapSpace, TheChildWritesToAFileOfItsOwn) {
    Remembered& region = swap().region(16);
    region.write_all(1);
    const ino_t before = status_of(swap().file().fd()).st_ino;
    const pid_t child = fork_with(swap(), [&] { EXPECT_NE(status_of(swap().file().fd()).st_ino, before); });
    EXPECT_NE(status_of(swap().file().fd()).st_ino, before);
    expect_good_end_of(child);
}

TEST_P(ForkedSwapSpace, AForkThatWasNotPreparedGivesTheChildNoCompressedPage) {
    if (limit() == 0) GTEST_SKIP() << "no memory for compressed pages";
    Remembered& region = swap().region(64);
    for (std::uint64_t page = 0; page < 64; ++page) region.write(page, textlike(page));
    const pid_t child = ::fork();
    if (child == 0) {
        const std::span<std::byte> memory = swap().pool().memory().first(kSegment);
        for (const std::byte byte : memory) {
            if (byte != std::byte{0}) std::_Exit(1);
        }
        std::_Exit(0);
    }
    expect_good_end_of(child);
    region.check();
}

INSTANTIATE_TEST_SUITE_P(Each, ForkedSwapSpace, swap_spaces(), SwapSpaceName{});

}  // namespace
}  // namespace faultline::test
