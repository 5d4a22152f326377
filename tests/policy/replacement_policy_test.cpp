// The contract of every ReplacementPolicy under random operations: each mapped frame is on exactly one queue, and no
// other frame is ever returned.
#include "policy/fifo.hpp"
#include "policy/second_chance.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace faultline::test {
namespace {

using policy::Arrival;
using policy::FrameId;
using policy::kNoFrame;
using policy::ReplacementPolicy;

/// The expected state of the frames.
struct Model {
    std::set<FrameId> free;
    std::set<FrameId> queued;
    std::set<FrameId> taken;  // victims that were neither put back nor removed yet
};

class AnyPolicy : public testing::TestWithParam<std::string> {
protected:
    static constexpr FrameId kFrames = 100;

    AnyPolicy() {
        if (GetParam() == "Fifo") {
            policy_ = std::make_unique<policy::Fifo>(links_);
        } else {
            policy_ = std::make_unique<policy::SecondChance>(links_, main_slots_, kFrames, 3);
        }
        for (FrameId frame = 1; frame <= kFrames; ++frame) model_.free.insert(frame);
    }

    FrameId pick(const std::set<FrameId>& from) {
        return *std::next(from.begin(), static_cast<std::ptrdiff_t>(random_() % from.size()));
    }

    Arrival random_arrival() {
        return {static_cast<Arrival::Kind>(random_() % 4), static_cast<std::uint32_t>(random_() % (10 * kFrames)),
                tags_[random_() % tags_.size()]};
    }

    void map_one() {
        if (model_.free.empty()) return;
        const FrameId frame = pick(model_.free);
        policy_->mapped(frame, random_arrival());
        model_.free.erase(frame);
        model_.queued.insert(frame);
    }

    void take_victim() {
        const policy::Victim victim = policy_->victim();
        ASSERT_LE(victim.tag, policy::Victim::kMaxTag);
        tags_[random_() % tags_.size()] = victim.tag;
        if (model_.queued.empty()) {
            ASSERT_EQ(victim.frame, kNoFrame);
            return;
        }
        ASSERT_TRUE(model_.queued.erase(victim.frame) == 1) << "frame " << victim.frame << " is not mapped";
        model_.taken.insert(victim.frame);
    }

    void put_one_back() {
        if (model_.taken.empty()) return;
        const FrameId frame = pick(model_.taken);
        policy_->put_back(frame);
        model_.taken.erase(frame);
        model_.queued.insert(frame);
    }

    void remove_from(std::set<FrameId>& place) {
        if (place.empty()) return;
        const FrameId frame = pick(place);
        policy_->removed(frame);
        place.erase(frame);
        model_.free.insert(frame);
    }

    void random_step() {
        switch (random_() % 10) {
            case 0:
            case 1:
            case 2:
                return map_one();
            case 3:
            case 4:
                return take_victim();
            case 5:
                return put_one_back();
            case 6:
                return policy_->demote(static_cast<FrameId>(1 + random_() % kFrames));  // on a queue or not
            case 7:
                return policy_->referenced(static_cast<FrameId>(1 + random_() % kFrames));
            case 8:
                return remove_from(random_() % 2 == 0 ? model_.queued : model_.taken);
            default:
                return policy_->resized(random_() % (2 * kFrames));
        }
    }

    void expect_frames_on_one_queue() const {
        for (FrameId frame = 1; frame <= kFrames; ++frame) {
            ASSERT_EQ(links_[frame].queue != 0, model_.queued.contains(frame)) << "frame " << frame;
        }
    }

    static constexpr std::uint64_t kSeed = 42;
    std::mt19937_64 random_{kSeed};
    std::vector<policy::FrameLinks> links_ = std::vector<policy::FrameLinks>(kFrames + 1);
    std::vector<FrameId> main_slots_ = std::vector<FrameId>(kFrames + 1);
    std::unique_ptr<ReplacementPolicy> policy_;
    std::vector<std::uint8_t> tags_ = std::vector<std::uint8_t>(kFrames);  // of victims; 0 at first
    Model model_;
};

TEST_P(AnyPolicy, KeepsEachMappedFrameOnOneQueue) {
    RecordProperty("seed", std::to_string(kSeed));
    for (int step = 0; step < 50'000; ++step) {
        ASSERT_NO_FATAL_FAILURE(random_step()) << "step " << step;
        ASSERT_NO_FATAL_FAILURE(expect_frames_on_one_queue()) << "step " << step;
    }
    while (!model_.queued.empty()) ASSERT_NO_FATAL_FAILURE(take_victim());
    EXPECT_EQ(policy_->victim().frame, kNoFrame);
}

TEST_P(AnyPolicy, ReturnsAVictimWhileAnyFrameIsMapped) {
    for (FrameId frame = 1; frame <= kFrames; ++frame) map_one();
    for (FrameId left = kFrames; left > 0; --left) ASSERT_NO_FATAL_FAILURE(take_victim());
    EXPECT_EQ(model_.taken.size(), kFrames);
    EXPECT_EQ(policy_->victim().frame, kNoFrame);
}

TEST_P(AnyPolicy, NeverReturnsARemovedFrame) {
    for (FrameId frame = 1; frame <= kFrames; ++frame) map_one();
    while (!model_.queued.empty()) remove_from(model_.queued);
    EXPECT_EQ(policy_->victim().frame, kNoFrame);
}

TEST_P(AnyPolicy, AcceptsTheRemovalOfAVictim) {
    map_one();
    take_victim();
    remove_from(model_.taken);
    ASSERT_NO_FATAL_FAILURE(expect_frames_on_one_queue());
    map_one();
    ASSERT_NO_FATAL_FAILURE(take_victim());
}

INSTANTIATE_TEST_SUITE_P(Policies, AnyPolicy, testing::Values("Fifo", "SecondChance"),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace faultline::test
