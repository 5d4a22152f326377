// How many distinct pages a program used since a page left memory, as estimated from the evictions since: a small
// memory's faults must tell how often a larger memory would have missed.

#include "pager/frame/miss_histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <list>
#include <random>
#include <utility>
#include <vector>

namespace faultline::test {
namespace {

using pager::MissBuckets;
using pager::MissFigures;
using pager::MissHistogram;

/// A memory that evicts the page unused for longest. It counts what a pager sees: each fault on a page that was here
/// before, by the evictions since it left.
class OldestLeaves {
public:
    OldestLeaves(std::size_t pages, std::size_t frames) : frames_{frames}, pages_(pages) {}

    void use(std::size_t number) {
        Page& page = pages_[number];
        if (page.resident) {
            order_.splice(order_.begin(), order_, page.place);
            return;
        }
        if (page.known) ++figures_.faults[MissBuckets::of(evictions_ - page.left)];
        if (page.known) ++faults_;
        if (order_.size() == frames_) evict();
        order_.push_front(number);
        page = {order_.begin(), 0, true, true};
    }
    /// Returns what it counted since the last call.
    MissFigures take() {
        figures_.evictions = evictions_ - std::exchange(evictions_before_, evictions_);
        faults_ = 0;
        return std::exchange(figures_, {});
    }
    [[nodiscard]] std::uint64_t faults() const { return faults_; }

private:
    struct Page {
        std::list<std::size_t>::iterator place;
        std::uint64_t left = 0;
        bool resident = false;
        bool known = false;
    };

    void evict() {
        Page& victim = pages_[order_.back()];
        order_.pop_back();
        victim.resident = false;
        victim.left = ++evictions_;
    }

    std::size_t frames_;
    std::vector<Page> pages_;
    std::list<std::size_t> order_;
    MissFigures figures_;
    std::uint64_t evictions_ = 0;
    std::uint64_t evictions_before_ = 0;
    std::uint64_t faults_ = 0;
};

constexpr std::size_t kPages = 4000;
constexpr std::size_t kFrames = 1000;

/// Expects that the faults of a memory of `kFrames` frames tell which share of them a memory of `larger` frames has.
/// `next`: returns the page to use.
template <typename Next>
void expect_right_prediction(std::size_t larger, Next next) {
    OldestLeaves memory{kPages, kFrames};
    OldestLeaves larger_memory{kPages, larger};
    const auto run = [&](std::size_t uses) {
        for (std::size_t i = 0; i < uses; ++i) {
            const std::size_t page = next();
            memory.use(page);
            larger_memory.use(page);
        }
    };
    run(40 * kPages);
    static_cast<void>(memory.take());
    static_cast<void>(larger_memory.take());
    run(40 * kPages);
    const auto faults = static_cast<double>(memory.faults());
    const double would_have = static_cast<double>(larger_memory.faults()) / faults;
    MissHistogram histogram;
    histogram.add(memory.take(), static_cast<double>(kFrames));
    const double predicted = histogram.from(static_cast<double>(larger)) / histogram.all();
    EXPECT_NEAR(predicted, would_have, 0.04) << larger << " frames instead of " << kFrames;
}

class StackDepthOfPages : public ::testing::TestWithParam<std::size_t> {
protected:
    StackDepthOfPages() { RecordProperty("seed", kSeed); }
    static constexpr int kSeed = 7;
    std::mt19937 random_{kSeed};
};

TEST_P(StackDepthOfPages, TellsWhatALargerMemoryMissesOfPagesThatAreUsedAlike) {
    std::uniform_int_distribution<std::size_t> any{0, kPages - 1};
    expect_right_prediction(GetParam(), [&] { return any(random_); });
}

TEST_P(StackDepthOfPages, TellsWhatALargerMemoryMissesOfPagesOfWhichFewAreUsedOften) {
    std::vector<double> weights;
    for (std::size_t page = 1; page <= kPages; ++page) weights.push_back(std::pow(static_cast<double>(page), -0.9));
    std::discrete_distribution<std::size_t> zipf{weights.begin(), weights.end()};
    expect_right_prediction(GetParam(), [&] { return zipf(random_); });
}

TEST_P(StackDepthOfPages, TellsWhatALargerMemoryMissesOfPagesThatAreUsedInTurn) {
    std::size_t page = 0;
    expect_right_prediction(GetParam(), [&] { return page++ % kPages; });
}

INSTANTIATE_TEST_SUITE_P(Frames, StackDepthOfPages, ::testing::Values(1100, 1500, 2000, 3000, 3800));

}  // namespace
}  // namespace faultline::test
