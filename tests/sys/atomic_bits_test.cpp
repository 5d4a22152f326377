#include "sys/atomic_bits.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace faultline::sys {
namespace {

TEST(AtomicBits, ABitChangesOnce) {
    const AtomicBits bits{1000, "test bits"};
    EXPECT_EQ(bits.size(), 1000U);
    EXPECT_FALSE(bits.test(999));
    EXPECT_TRUE(bits.set(999));
    EXPECT_FALSE(bits.set(999)) << "it was set already";
    EXPECT_TRUE(bits.test(999));
    EXPECT_FALSE(bits.test(998));
    EXPECT_TRUE(bits.clear(999));
    EXPECT_FALSE(bits.clear(999));
}

TEST(AtomicBits, ARangeReportsHowManyBitsChanged) {
    const AtomicBits bits{1000, "test bits"};
    EXPECT_EQ(bits.set(60, 200), 200U);
    EXPECT_EQ(bits.set(0, 100), 60U);
    EXPECT_EQ(bits.clear(50, 20), 20U);
    EXPECT_EQ(bits.clear(50, 20), 0U);
    EXPECT_EQ(bits.clear(0, 1000), 240U);
}

TEST(AtomicBits, SearchesAgreeWithAFlatArray) {
    constexpr std::uint64_t kBits = 700;
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    const AtomicBits bits{kBits, "test bits"};
    std::vector<bool> expected(kBits);
    for (int step = 0; step < 300; ++step) {
        const std::uint64_t first = random() % kBits;
        const std::uint64_t count = random() % (kBits - first + 1);
        const bool set = random() % 2 == 0;
        set ? bits.set(first, count) : bits.clear(first, count);
        for (std::uint64_t bit = first; bit < first + count; ++bit) expected[bit] = set;

        const std::uint64_t from = random() % kBits;
        const std::uint64_t end = from + random() % (kBits - from + 1);
        for (const bool wanted : {true, false}) {
            std::uint64_t next = from;
            while (next < end && expected[next] != wanted) ++next;
            ASSERT_EQ(wanted ? bits.next_set(from, end) : bits.next_clear(from, end), next) << "step " << step;
        }
    }
}

TEST(AtomicBits, ThreadsThatSetBitsOfOneWordLoseNone) {
    constexpr std::uint64_t kThreads = 4;
    constexpr std::uint64_t kBits = 64 * 100;
    const AtomicBits bits{kBits, "test bits"};
    std::vector<std::thread> threads;
    for (std::uint64_t thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
            for (std::uint64_t bit = thread; bit < kBits; bit += kThreads) bits.set(bit);
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(bits.next_clear(0, kBits), kBits);
}

}  // namespace
}  // namespace faultline::sys
