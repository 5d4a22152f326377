// FrameQueue and Fifo against a plain list.
#include "policy/frame_queue.hpp"
#include "policy/fifo.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

namespace faultline::test {
namespace {

using policy::FrameId;
using policy::FrameLinks;
using policy::FrameQueue;
using policy::kNoFrame;

TEST(FrameQueue, IsFirstInFirstOut) {
    std::vector<FrameLinks> links(4);
    FrameQueue queue{links, 1};
    EXPECT_TRUE(queue.empty());
    for (FrameId frame : {2U, 1U, 3U}) queue.push_newest(frame);
    EXPECT_EQ(queue.size(), 3U);
    EXPECT_EQ(queue.oldest(), 2U);
    for (FrameId frame : {2U, 1U, 3U}) EXPECT_EQ(queue.pop_oldest(), frame);
    EXPECT_EQ(queue.pop_oldest(), kNoFrame);
    EXPECT_TRUE(queue.empty());
}

TEST(FrameQueue, RemovesFramesFromAnyPosition) {
    for (FrameId leaving : {1U, 2U, 3U}) {
        std::vector<FrameLinks> links(4);
        FrameQueue queue{links, 1};
        for (FrameId frame : {1U, 2U, 3U}) queue.push_newest(frame);
        queue.remove(leaving);
        EXPECT_FALSE(queue.has(leaving));
        for (FrameId frame : {1U, 2U, 3U}) {
            if (frame == leaving) continue;
            EXPECT_EQ(queue.pop_oldest(), frame);
        }
        EXPECT_EQ(queue.pop_oldest(), kNoFrame);
    }
}

TEST(FrameQueue, TellsItsFramesFromThoseOfAnotherQueueOverTheSameLinks) {
    std::vector<FrameLinks> links(4);
    FrameQueue one{links, 1};
    FrameQueue other{links, 2};
    one.push_newest(1);
    other.push_newest(2);
    EXPECT_TRUE(one.has(1));
    EXPECT_FALSE(one.has(2));
    EXPECT_FALSE(other.has(1));
    EXPECT_FALSE(one.has(3));
}

TEST(FrameQueue, KeepsANoteOnEachFrameWhileItIsQueued) {
    std::vector<FrameLinks> links(4);
    FrameQueue queue{links, 255};
    queue.push_newest(1, 7);
    queue.push_newest(2, (1U << 24) - 1);
    queue.push_newest(3);
    EXPECT_EQ(links[1].note(), 7U);
    EXPECT_EQ(links[2].note(), (1U << 24) - 1);
    EXPECT_TRUE(queue.has(2));
    EXPECT_EQ(links[3].note(), 0U);
    queue.remove(2);
    EXPECT_EQ(links[2].queue, 0U);
}

/// Two queues over the same links, and a model of their contents.
struct Queues {
    static constexpr FrameId kFrames = 40;
    std::vector<FrameLinks> links = std::vector<FrameLinks>(kFrames + 1);
    FrameQueue queues[2] = {{links, 1}, {links, 2}};
    std::deque<FrameId> models[2];

    void push_if_free(unsigned which, FrameId frame) {
        if (queues[0].has(frame) || queues[1].has(frame)) return;
        queues[which].push_newest(frame);
        models[which].push_back(frame);
    }
    void remove_if_there(unsigned which, FrameId frame) {
        if (!queues[which].has(frame)) return;
        queues[which].remove(frame);
        models[which].erase(std::find(models[which].begin(), models[which].end(), frame));
    }
    void pop(unsigned which) {
        const FrameId expected = models[which].empty() ? kNoFrame : models[which].front();
        ASSERT_EQ(queues[which].pop_oldest(), expected);
        if (!models[which].empty()) models[which].pop_front();
    }
    void expect_as_modelled() const {
        for (unsigned which : {0U, 1U}) {
            ASSERT_EQ(queues[which].size(), models[which].size());
            ASSERT_EQ(queues[which].oldest(), models[which].empty() ? kNoFrame : models[which].front());
        }
    }
};

TEST(FrameQueue, BehavesLikeAListUnderRandomOperations) {
    constexpr std::uint64_t kSeed = 1;
    RecordProperty("seed", std::to_string(kSeed));
    std::mt19937_64 random{kSeed};
    Queues queues;
    for (int step = 0; step < 50'000; ++step) {
        const auto which = static_cast<unsigned>(random() % 2);
        const auto frame = static_cast<FrameId>(random() % Queues::kFrames + 1);
        switch (random() % 4) {
            case 0:
                queues.pop(which);
                break;
            case 1:
                queues.remove_if_there(which, frame);
                break;
            default:
                queues.push_if_free(which, frame);
        }
        ASSERT_NO_FATAL_FAILURE(queues.expect_as_modelled()) << "step " << step;
    }
}

TEST(Fifo, EvictsInTheOrderOfArrivalWhateverTheArrival) {
    using Kind = policy::Arrival::Kind;
    std::vector<FrameLinks> links(5);
    policy::Fifo fifo{links};
    fifo.mapped(3, {Kind::first_touch});
    fifo.mapped(1, {Kind::soft_fault});
    fifo.mapped(4, {Kind::hard_fault, 1, 1});
    fifo.mapped(2, {Kind::read_ahead});
    for (FrameId frame : {3U, 1U, 4U, 2U}) EXPECT_EQ(fifo.victim().frame, frame);
    EXPECT_EQ(fifo.victim().frame, kNoFrame);
}

TEST(Fifo, TreatsAVictimPutBackAsTheNewest) {
    std::vector<FrameLinks> links(3);
    policy::Fifo fifo{links};
    fifo.mapped(1, {});
    fifo.mapped(2, {});
    fifo.put_back(fifo.victim().frame);
    EXPECT_EQ(fifo.victim().frame, 2U);
    EXPECT_EQ(fifo.victim().frame, 1U);
}

TEST(Fifo, EvictsDemotedFramesFirst) {
    std::vector<FrameLinks> links(5);
    policy::Fifo fifo{links};
    for (FrameId frame : {1U, 2U, 3U, 4U}) fifo.mapped(frame, {});
    fifo.demote(3);
    fifo.demote(1);
    for (FrameId frame : {1U, 3U, 2U, 4U}) EXPECT_EQ(fifo.victim().frame, frame);
    fifo.demote(2);  // already a victim
    EXPECT_EQ(fifo.victim().frame, kNoFrame);
}

TEST(Fifo, KeepsNothingStaged) {
    std::vector<FrameLinks> links(3);
    const policy::Fifo fifo{links};
    EXPECT_EQ(fifo.staging_target(1'000'000), 0U);
}

}  // namespace
}  // namespace faultline::test
