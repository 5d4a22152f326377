// BufferSet: a buffer counts before a thread can touch it, once, and no new one exists without memory for it.
#include "sys/buffer_set.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

namespace faultline::test {
namespace {

using core::RecordMemory;
using sys::BufferSet;

constexpr std::size_t kBytes = std::size_t{8} << 10;
constexpr std::int64_t kUnits = 2;  // of one buffer
constexpr unsigned kBuffers = 8;

TEST(BufferSet, TheFirstBufferCountsFromTheStartAndOthersWhenTheyAreTaken) {
    RecordMemory records;
    {
        BufferSet set{{4, kBytes}, "a test", &records};
        EXPECT_EQ(records.units(), kUnits);
        std::set<unsigned> taken;
        for (std::int64_t i = 1; i <= 4; ++i) {
            taken.insert(set.take());
            EXPECT_EQ(records.units(), i * kUnits);
        }
        EXPECT_EQ(taken, (std::set<unsigned>{0, 1, 2, 3}));
        EXPECT_EQ(set.try_take(), BufferSet::kNone);
        for (const unsigned index : taken) set.give_back(index);
        EXPECT_EQ(set.take(), 0U);
        EXPECT_EQ(records.units(), 4 * kUnits) << "a buffer that was used before counts once";
    }
    EXPECT_EQ(records.units(), 0);
}

TEST(BufferSet, BuffersDoNotOverlapAndHaveTheSizeThatWasAskedFor) {
    BufferSet set{{3, kBytes - 100}, "a test", nullptr};
    for (unsigned i = 0; i < 3; ++i) {
        const unsigned index = set.take();
        EXPECT_EQ(set.bytes_of(index).size(), kBytes);
        for (std::byte& byte : set.bytes_of(index)) byte = static_cast<std::byte>(index + 1);
    }
    for (unsigned index = 0; index < 3; ++index) {
        for (const std::byte byte : set.bytes_of(index)) ASSERT_EQ(byte, static_cast<std::byte>(index + 1));
    }
}

TEST(BufferSet, UnderALimitANewBufferNeedsSpareMemory) {
    RecordMemory records;
    records.limit_buffers(100);
    BufferSet set{{4, kBytes}, "a test", &records};
    ASSERT_EQ(set.try_take(), 0U);
    EXPECT_EQ(records.spare_wanted(), 0) << "no buffer was lacking yet";
    EXPECT_EQ(set.try_take(), BufferSet::kNone);
    EXPECT_EQ(records.units(), kUnits);
    EXPECT_EQ(records.spare_wanted(), kUnits);
    records.add_spare(1);
    EXPECT_EQ(records.spare_wanted(), kUnits - 1);
    EXPECT_EQ(set.try_take(), BufferSet::kNone) << "half of a buffer is none";
    records.add_spare(1);
    EXPECT_EQ(records.units(), 2 * kUnits) << "the spare counts";
    EXPECT_EQ(set.try_take(), 1U);
    EXPECT_EQ(records.units(), 2 * kUnits) << "a buffer out of the spare changes nothing";
    EXPECT_EQ(records.spare_wanted(), 0);
}

TEST(BufferSet, BuffersBeyondTheirPartOfTheLimitAreNotWanted) {
    RecordMemory records;
    records.limit_buffers(kUnits);
    BufferSet set{{4, kBytes}, "a test", &records};
    ASSERT_EQ(set.try_take(), 0U);
    EXPECT_EQ(set.try_take(), BufferSet::kNone);
    records.add_spare(records.spare_wanted());
    EXPECT_EQ(set.try_take(), 1U);
    EXPECT_EQ(set.try_take(), BufferSet::kNone);
    EXPECT_EQ(records.spare_wanted(), 0);
}

TEST(BufferSet, AThreadThatWaitsGetsTheBufferThatIsGivenBack) {
    RecordMemory records;
    records.limit_buffers(100);
    BufferSet set{{4, kBytes}, "a test", &records};
    const unsigned held = set.take();
    std::thread waiting{[&] { EXPECT_EQ(set.take(), held); }};
    set.give_back(held);
    waiting.join();
    EXPECT_EQ(records.units(), kUnits);
}

TEST(BufferSet, ASetThatBeginsEmptyCountsNothingAndRefuses) {
    RecordMemory records;
    records.limit_buffers(100);
    BufferSet set{{4, kBytes, 0}, "a test", &records};
    EXPECT_EQ(records.units(), 0);
    EXPECT_EQ(set.try_take(), BufferSet::kNone);
    records.add_spare(records.spare_wanted());
    EXPECT_EQ(set.try_take(), 0U);
}

TEST(BufferSet, ForgottenBuffersCountNoMore) {
    RecordMemory records;
    records.limit_buffers(2 * kUnits);
    BufferSet set{{4, kBytes}, "a test", &records};
    records.add_spare(kUnits);
    static_cast<void>(set.take());
    static_cast<void>(set.take());
    EXPECT_EQ(records.units(), 2 * kUnits);
    set.forget();
    EXPECT_EQ(records.units(), 0);
}

TEST(BufferSet, ThreadsThatAddBuffersAtOnceCountEachOnce) {
    constexpr unsigned kThreads = 4;
    for (int round = 0; round < 300; ++round) {
        const bool limited = round % 2 == 0;
        RecordMemory records;
        if (limited) records.limit_buffers(100);
        BufferSet set{{kBuffers, kBytes}, "a test", &records};
        if (limited) records.add_spare(kUnits);  // enough for one more
        std::array<std::atomic<int>, kBuffers> holders{};
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < kThreads; ++i) {
            threads.emplace_back([&] {
                for (int turn = 0; turn < 20; ++turn) {
                    const unsigned index = set.take();
                    EXPECT_EQ(holders.at(index).fetch_add(1), 0);
                    std::this_thread::yield();
                    holders.at(index).fetch_sub(1);
                    set.give_back(index);
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        const std::int64_t spare = limited && set.slots().slots() == 1 ? kUnits : 0;
        EXPECT_EQ(records.units(), kUnits * set.slots().slots() + spare);
        EXPECT_LE(set.slots().slots(), limited ? 2U : kThreads);
    }
}

}  // namespace
}  // namespace faultline::test
