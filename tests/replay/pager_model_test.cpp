// The model of the pager, compared with results worked out by hand for a simple policy.
#include "replay/pager_model.hpp"

#include <gtest/gtest.h>

#include "policy/frame_queue.hpp"

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace faultline::test {
namespace {

using bench::DenseTrace;
using bench::EvictorKind;
using bench::FrameOfStaged;
using bench::PageReference;
using bench::PagerModel;
using bench::PagerSettings;
using Kind = Arrival::Kind;

/// A FIFO that keeps `staged` pages staged, tags every second victim with 1, and records every Arrival.
class Recording final : public ReplacementPolicy {
public:
    Recording(const PolicySetup& setup, std::size_t staged, std::vector<Arrival>& arrivals, std::size_t& referenced)
        : links_(setup.capacity + 1), staged_{staged}, arrivals_{arrivals}, referenced_{referenced} {}

    void mapped(FrameId frame, const Arrival& arrival) FAULTLINE_SIGNAL_SAFE override {
        queue_.push_newest(frame);
        arrivals_.push_back(arrival);
    }
    void referenced(FrameId frame) FAULTLINE_SIGNAL_SAFE override { referenced_ += queue_.has(frame) ? 1U : 0U; }
    Victim victim() FAULTLINE_SIGNAL_SAFE override {
        return {queue_.pop_oldest(), static_cast<std::uint8_t>(victims_++ % 2)};
    }
    void put_back(FrameId frame) FAULTLINE_SIGNAL_SAFE override { queue_.push_newest(frame); }
    void removed(FrameId frame) FAULTLINE_SIGNAL_SAFE override {
        if (queue_.has(frame)) queue_.remove(frame);
    }
    std::size_t staging_target(std::size_t) const FAULTLINE_SIGNAL_SAFE override { return staged_; }

private:
    std::vector<policy::FrameLinks> links_;
    policy::FrameQueue queue_{links_, 1};
    std::size_t staged_;
    std::vector<Arrival>& arrivals_;
    std::size_t& referenced_;
    std::size_t victims_ = 0;
};

/// Pages [first, first + count), all read or all written.
struct Stretch {
    std::uint64_t first;
    std::uint64_t count;
    bool write = false;
};

DenseTrace trace_of(const std::vector<Stretch>& stretches) {
    std::vector<PageReference> references;
    for (const Stretch& one : stretches) {
        for (std::uint64_t i = 0; i < one.count; ++i) references.push_back({one.first + i, one.write});
    }
    return bench::renumbered(references);
}

class PagerModelTest : public testing::Test {
protected:
    bench::ReplayCounts run(const std::vector<Stretch>& stretches, const PagerSettings& settings, std::size_t staged) {
        const DenseTrace trace = trace_of(stretches);
        PagerModel model{trace, settings, [&](const PolicySetup& setup) {
                             return std::make_unique<Recording>(setup, staged, arrivals_, referenced_);
                         }};
        const bench::ReplayCounts counts = bench::replay(model, trace);
        frames_used_ = model.frames_used();
        return counts;
    }

    void expect_arrival(std::size_t number, const Arrival& expected) const {
        ASSERT_LT(number, arrivals_.size());
        EXPECT_EQ(arrivals_[number].kind, expected.kind);
        EXPECT_EQ(arrivals_[number].evictions_ago, expected.evictions_ago);
        EXPECT_EQ(arrivals_[number].tag, expected.tag);
    }

    std::vector<Arrival> arrivals_;
    std::size_t referenced_ = 0;  // events of mapped frames
    std::size_t frames_used_ = 0;
};

TEST_F(PagerModelTest, PagesThatFitFaultOnce) {
    const bench::ReplayCounts counts = run({{0, 2}, {0, 2}, {0, 2, true}}, {2}, 0);
    EXPECT_EQ(counts.references, 6U);
    EXPECT_EQ(counts.first_touches, 2U);
    EXPECT_EQ(counts.hard_faults + counts.soft_faults + counts.unmapped, 0U);
    EXPECT_EQ(frames_used_, 2U);
}

// Two frames, one page per batch: 2 evicts 0 (departure 0, tag 0), 0 evicts 1 (departure 1, tag 1), 1 evicts 2.
TEST_F(PagerModelTest, PolicyGetsTheAgeAndTagOfAnEvictedPage) {
    const bench::ReplayCounts counts = run({{0, 3}, {0, 2}}, {2}, 0);
    EXPECT_EQ(counts.first_touches, 3U);
    EXPECT_EQ(counts.hard_faults, 2U);
    ASSERT_EQ(arrivals_.size(), 5U);
    expect_arrival(2, {Kind::first_touch, 0, 0});
    expect_arrival(3, {Kind::hard_fault, 2, 0});
    expect_arrival(4, {Kind::hard_fault, 2, 1});
}

// The first touch makes a page dirty. In the second round only page 0 is written to; the fault on page 2 evicts it.
TEST_F(PagerModelTest, OnlyDirtyPagesAreWrittenBack) {
    EXPECT_EQ(run({{0, 3}, {0, 1, true}, {1, 2}}, {2}, 0).written, 4U);
}

// With 300 frames the model has a staging zone. It stages batches of eight pages until more than ten are staged. Page
// 300 finds no free frame: 0-7 and then 8-15 are staged, the first batch is finished, and one of its eight frames is
// used.
TEST_F(PagerModelTest, BatchesAreStagedUntilTheTargetIsExceeded) {
    const bench::ReplayCounts counts = run({{0, 301}}, {300}, 10);
    EXPECT_EQ(counts.unmapped, 16U);
    EXPECT_EQ(counts.written, 16U);
    EXPECT_EQ(frames_used_, 293U);
}

TEST_F(PagerModelTest, StagedPageReturnsWithoutTheStore) {
    const bench::ReplayCounts counts = run({{0, 301}, {8, 1, true}}, {300}, 10);
    EXPECT_EQ(counts.soft_faults, 1U);
    EXPECT_EQ(counts.hard_faults, 0U);
    expect_arrival(301, {Kind::soft_fault, 0, 0});
    EXPECT_EQ(frames_used_, 293U) << "the page keeps its frame";
}

TEST_F(PagerModelTest, StagedPageGetsANewFrameIfItsOwnCannotMove) {
    EXPECT_EQ(run({{0, 301}, {8, 1}}, {300}, 10).soft_faults, 1U);
    EXPECT_EQ(frames_used_, 294U) << "the old frame is free only after its batch is finished";
    PagerSettings settings{300};
    settings.frame_of_staged = FrameOfStaged::stays;
    run({{0, 301}, {8, 1}}, settings, 10);
    EXPECT_EQ(frames_used_, 293U);
    settings.frame_of_staged = FrameOfStaged::copied;
    run({{0, 301}, {8, 1, true}}, settings, 10);
    EXPECT_EQ(frames_used_, 294U) << "a dirty page needs a new frame, too, if frames do not move";
}

// Pages 301-307 use the seven free frames of the first batch, so page 8 finds none. 16-23 are staged, and the batch
// that is finished to free frames is the one of page 8: the page is evicted before it can return from staging.
TEST_F(PagerModelTest, PageEvictedDuringItsOwnFaultIsReadFromTheStore) {
    const bench::ReplayCounts counts = run({{0, 308}, {8, 1}}, {300}, 10);
    EXPECT_EQ(counts.soft_faults, 0U);
    EXPECT_EQ(counts.hard_faults, 1U);
    // Departures 0-7 are the first batch; page 8 is departure 8 of 15. Its tag is that of the ninth victim.
    expect_arrival(308, {Kind::hard_fault, 8, 0});
}

TEST_F(PagerModelTest, NothingIsStagedWithFewFrames) {
    EXPECT_EQ(run({{0, 256}, {0, 1}}, {255}, 10).hard_faults, 1U);
    EXPECT_EQ(run({{0, 257}, {8, 1}}, {256}, 10).soft_faults, 1U);
}

// With a staging target of 0, clean pages are dropped at once, and their frames are free without a batch.
TEST_F(PagerModelTest, CleanPagesAreDroppedAtOnceWithoutAStagingTarget) {
    const bench::ReplayCounts counts = run({{0, 3}, {0, 3}}, {2}, 0);
    EXPECT_EQ(counts.hard_faults, 3U);
    EXPECT_EQ(counts.written, 3U) << "each page is written once, after its first touch";
    EXPECT_EQ(counts.unmapped, 4U);
}

// With 1000 frames the evictor wakes when fewer than 10 are free, and stops at 20. The 991st page leaves 9 free:
// batches of 11 are staged until more than the target of 50 are staged, and the oldest batch is finished.
TEST_F(PagerModelTest, BackgroundEvictorWorksBetweenItsWatermarks) {
    PagerSettings settings{1000};
    settings.evictor = EvictorKind::background;
    run({{0, 990}}, settings, 50);
    EXPECT_EQ(frames_used_, 990U);
    const bench::ReplayCounts counts = run({{0, 991}}, settings, 50);
    EXPECT_EQ(counts.unmapped, 55U);
    EXPECT_EQ(frames_used_, 980U);
}

// Page 3 evicts page 0, in whose block of four pages 1 and 2 stay mapped.
TEST_F(PagerModelTest, WriteInAProtectedBlockIsAReference) {
    PagerSettings settings{3};
    settings.protected_block = 4;
    const bench::ReplayCounts counts = run({{0, 4}, {1, 1, true}, {1, 1, true}, {2, 1}}, settings, 0);
    EXPECT_EQ(counts.protection_faults, 1U) << "the second write meets no protection, the read does not mind it";
    EXPECT_EQ(referenced_, 1U);
}

TEST_F(PagerModelTest, OnlyTheVictimsBlockIsProtected) {
    PagerSettings settings{3};
    settings.protected_block = 2;
    EXPECT_EQ(run({{0, 4}, {2, 1, true}}, settings, 0).protection_faults, 0U);
    EXPECT_EQ(run({{0, 4}, {1, 1, true}}, settings, 0).protection_faults, 1U);
}

// Page 3 evicts page 0; page 0 evicts page 1, which comes back unprotected.
TEST_F(PagerModelTest, PageComesBackUnprotected) {
    PagerSettings settings{3};
    settings.protected_block = 2;
    EXPECT_EQ(run({{0, 4}, {0, 1}, {1, 1}, {1, 1, true}}, settings, 0).protection_faults, 0U);
}

TEST_F(PagerModelTest, FewerThanTwoFramesAreRefused) { EXPECT_THROW(run({{0, 1}}, {1}, 0), std::invalid_argument); }

}  // namespace
}  // namespace faultline::test
