// The rule that divides memory between frames and compressed pages: which way it moves, and that it settles near the
// best division of a model of memory.

#include "pager/frame/memory_split.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace faultline::test {
namespace {

using pager::MemorySplit;
using pager::MissBuckets;
using pager::MissFigures;

constexpr std::size_t kMemory = std::size_t{64} << 20;
constexpr std::size_t kStart = std::size_t{16} << 20;

class SplitRule : public ::testing::Test {
protected:
    SplitRule() {
        look_.frames = (kMemory - kStart) / 4096;
        look_.memory_cost = std::chrono::microseconds{8};
        look_.disk_cost = std::chrono::microseconds{80};
        // Full; pages shrink to two fifths, and with dead ones between them to a half.
        look_.pool = {kStart, kStart, kStart / 10 * 8, kStart / 10 * 20, 0, 0, 0};
        look_.misses.evictions = kManyEvictions;
    }

    /// Adds what happened until the next look.
    void evicted(std::uint64_t kept, std::uint64_t rejected, std::uint64_t pushed_out) {
        look_.pool.kept += kept;
        look_.pool.rejected += rejected;
        look_.pool.pushed_out += pushed_out;
    }
    /// Sets `faults` at so many pages beyond the frames.
    void faults_at(std::size_t beyond, std::uint32_t faults) { look_.misses.faults[MissBuckets::of(beyond)] = faults; }
    std::size_t next() { return look_.pool.limit = split_.share_after(look_, kMemory); }

    static constexpr std::size_t kReach = kStart / 2048;  // of the compressed pages
    // Hardly any of these pages has come back, so the evictions since a page left are all of different pages.
    static constexpr std::uint64_t kManyEvictions = 1'000'000'000;
    MemorySplit split_;
    MemorySplit::Look look_;
};

TEST_F(SplitRule, GivesMemoryToCompressedPagesWhereThatSavesReads) {
    faults_at(kReach + 1000, 300);
    evicted(300, 0, 100);
    EXPECT_GT(next(), kStart);
}

TEST_F(SplitRule, GivesMemoryToCompressedPagesWhereOnlyAWideMoveSavesReads) {
    faults_at(kReach + 9000, 300);
    evicted(300, 0, 100);
    EXPECT_GT(next(), kStart);
}

TEST_F(SplitRule, GivesMemoryToFramesWhereFaultsOnMemoryCostMore) {
    faults_at(100, 280);
    faults_at(kReach + 300, 4);
    evicted(300, 0, 100);
    EXPECT_LT(next(), kStart);
}

TEST_F(SplitRule, GivesMemoryToFramesWhereTheDiskIsNoSlowerThanMemory) {
    look_.disk_cost = look_.memory_cost;
    faults_at(100, 100);
    faults_at(kReach + 300, 200);
    evicted(300, 0, 100);
    EXPECT_LT(next(), kStart);
}

TEST_F(SplitRule, MovesNothingWhereNoDivisionHoldsThePagesThatFault) {
    faults_at(200'000, 300);
    evicted(300, 0, 100);
    EXPECT_EQ(next(), kStart);
}

TEST_F(SplitRule, LeavesCompressedPagesTheLeastShareWherePagesDoNotShrink) {
    for (int i = 0; i < 40; ++i) {
        faults_at(kReach + 1000, 300);
        evicted(0, 300, 0);
        next();
    }
    EXPECT_EQ(look_.pool.limit, MemorySplit::least_share(kMemory));
    EXPECT_LE(look_.pool.limit, kMemory / 256);
}

TEST_F(SplitRule, TakesMemoryThatCompressedPagesDoNotUse) {
    look_.pool.used = kStart / 4;
    EXPECT_LT(next(), kStart);
}

TEST_F(SplitRule, MovesNothingWithoutEvidence) {
    faults_at(kReach + 1000, 9);
    evicted(300, 0, 100);
    EXPECT_EQ(next(), kStart);
}

TEST_F(SplitRule, MovesFartherWhileTheDirectionStays) {
    faults_at(kReach + 9000, 300);
    evicted(300, 0, 100);
    const std::size_t first = next() - kStart;
    evicted(300, 0, 100);
    const std::size_t second = next() - kStart - first;
    EXPECT_EQ(first, kMemory / 64);
    EXPECT_EQ(second, 2 * first);
}

TEST_F(SplitRule, MovesLessOftenWithEachTurn) {
    unsigned moves = 0;
    faults_at(kReach + 9000, 300);
    for (int i = 0; i < 256; ++i) {
        const std::size_t before = look_.pool.limit;
        const bool large = before > kStart;  // then compressed pages leave most of it unused
        look_.pool.used = large ? before / 4 : before;
        evicted(300, 0, large ? 0 : 100);
        if (next() != before) ++moves;
    }
    EXPECT_GE(moves, 6U);
    EXPECT_LE(moves, 12U);
}

TEST_F(SplitRule, KeepsSmallMemoriesForFrames) {
    EXPECT_EQ(MemorySplit::first_share(MemorySplit::kLeastMemory - 1), 0U);
    EXPECT_GT(MemorySplit::first_share(MemorySplit::kLeastMemory), 0U);
}

/// A program whose accesses fall on stack position p (the number of pages used since) with a given probability. Its
/// memory is an ideal one: frames, then compressed pages, then the disk, in the order of use.
class StackModel {
public:
    /// `share_at(p)`: how often position p is used, compared with other positions.
    template <typename ShareAt>
    StackModel(std::size_t pages, double ratio, ShareAt share_at) : ratio_{ratio}, below_(pages + 1, 0.0) {
        for (std::size_t p = 1; p <= pages; ++p) below_[p] = below_[p - 1] + share_at(p);
        for (double& share : below_) share /= below_[pages];
    }

    /// Returns the mean time of an access in nanoseconds, with `share` bytes for compressed pages.
    [[nodiscard]] double cost(std::size_t share) const {
        const std::size_t frames = frames_with(share);
        const std::size_t memory = frames + pages_in(share);
        return between(frames, memory) * kMemoryCost + between(memory, below_.size()) * kDiskCost;
    }
    [[nodiscard]] double least_cost() const {
        double least = cost(MemorySplit::least_share(kMemory));
        for (std::size_t share = 0; share <= kMost; share += std::size_t{64} << 10)
            least = std::min(least, cost(share));
        return least;
    }

    /// Runs the rule until it stays where it is, and returns the share.
    [[nodiscard]] std::size_t settled() const {
        MemorySplit split;
        MemorySplit::Look look;
        look.memory_cost = std::chrono::nanoseconds{static_cast<std::int64_t>(kMemoryCost)};
        look.disk_cost = std::chrono::nanoseconds{static_cast<std::int64_t>(kDiskCost)};
        look.pool.limit = MemorySplit::first_share(kMemory);
        for (int i = 0; i < 400; ++i) {
            const std::size_t frames = frames_with(look.pool.limit);
            const std::size_t in_memory = frames + pages_in(look.pool.limit);
            const std::size_t held = std::min(in_memory, below_.size() - 1) - frames;
            look.pool.original = held * 4096;
            look.pool.used = static_cast<std::size_t>(static_cast<double>(held * 4096) * ratio_);
            look.pool.compressed = look.pool.used / 5 * 4;
            if (frames != look.frames) look.misses = misses_beyond(frames);
            look.frames = frames;
            look.pool.kept += static_cast<std::uint64_t>(kFaults);
            if (in_memory < below_.size() - 1) look.pool.pushed_out += static_cast<std::uint64_t>(kFaults);
            look.pool.limit = std::min(split.share_after(look, kMemory), kMost);
        }
        return look.pool.limit;
    }

private:
    static constexpr double kMemoryCost = 8'000;
    static constexpr double kDiskCost = 80'000;
    static constexpr double kFaults = 1'000'000;  // in one look: the model has no chance
    static constexpr std::size_t kMost = kMemory / 8 * 7;

    /// Returns the faults by what a pager sees: the evictions since a page left. Each fault evicts a page. While one
    /// more page passes the one at position p, the program faults again and again on pages between the frames and p.
    [[nodiscard]] MissFigures misses_beyond(std::size_t frames) const {
        MissFigures figures;
        const std::size_t last = below_.size() - 1;
        const double faults = between(frames, last);
        double evictions = 0;  // since a page left that is now at position p
        for (std::size_t p = frames; faults > 0 && p < last; ++p) {
            const double beyond = between(p, last) / faults;
            if (beyond <= 1e-9) break;
            evictions += 1 / beyond;
            figures.faults[MissBuckets::of(static_cast<std::uint64_t>(evictions))] +=
                static_cast<std::uint32_t>(kFaults * between(p, p + 1) / faults);
        }
        figures.evictions = static_cast<std::uint64_t>(kFaults);
        return figures;
    }
    [[nodiscard]] static std::size_t frames_with(std::size_t share) { return (kMemory - share) / 4096; }
    [[nodiscard]] std::size_t pages_in(std::size_t share) const {
        return static_cast<std::size_t>(static_cast<double>(share) / ratio_ / 4096);
    }
    /// Returns the share of accesses at stack positions above `from`, up to `to`.
    [[nodiscard]] double between(std::size_t from, std::size_t to) const {
        const std::size_t last = below_.size() - 1;
        return std::max(below_[std::min(to, last)] - below_[std::min(from, last)], 0.0);
    }

    double ratio_;
    std::vector<double> below_;  // by stack position: the share of accesses up to there
};

TEST(SplitModel, TheRuleSettlesNearTheBestDivision) {
    constexpr std::size_t kFrames = kMemory / 4096;
    for (const double skew : {0.0, 0.5, 0.9, 1.2}) {
        for (const double ratio : {0.1, 0.3, 0.5, 0.7}) {
            for (const std::size_t pages : {kFrames * 5 / 4, kFrames * 2, kFrames * 4, kFrames * 10}) {
                const auto falling = [skew](std::size_t p) { return std::pow(static_cast<double>(p), -skew); };
                const StackModel model{pages, ratio, falling};
                const std::size_t share = model.settled();
                EXPECT_LE(model.cost(share), 1.15 * model.least_cost() + 20)
                    << "skew " << skew << ", ratio " << ratio << ", " << pages << " pages: " << (share >> 20)
                    << " MiB for compressed pages";
            }
        }
    }
}

TEST(SplitModel, AProgramThatGoesThroughItsPagesInTurnGetsTheDivisionThatHoldsThemAll) {
    constexpr std::size_t kFrames = kMemory / 4096;
    for (const double ratio : {0.2, 0.4, 0.6}) {
        for (const double factor : {1.1, 1.4, 2.0}) {
            const auto pages = static_cast<std::size_t>(kFrames * factor);
            const auto last = [pages](std::size_t p) { return p + pages / 16 > pages ? 1.0 : 0.0; };
            const StackModel model{pages, ratio, last};
            const std::size_t share = model.settled();
            EXPECT_LE(model.cost(share), 1.15 * model.least_cost() + 20)
                << "ratio " << ratio << ", " << pages << " pages: " << (share >> 20) << " MiB for compressed pages";
        }
    }
}

}  // namespace
}  // namespace faultline::test
