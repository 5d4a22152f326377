// Boost.Context fibers on stacks of a pool: many more than fit into memory, most of them swapped out. All resume with
// every byte of their stacks.

#include "space/stack_support.hpp"

#include <faultline/alternate_stack.hpp>

#include <boost/context/fiber.hpp>
#include <boost/context/stack_context.hpp>

#include <memory>
#include <utility>

namespace faultline::test {
namespace {

using boost::context::fiber;
using Stacks = FiberStackAllocator<boost::context::stack_context>;

class Fibers : public TrapMatrix {};

/// A fiber that keeps values on its stack over two switches, by default more than a page of them, and counts the wrong
/// ones.
template <std::size_t kWords = 700>
fiber keeper(StackPool& pool, std::uint64_t seed, std::size_t& wrong) {
    return fiber{std::allocator_arg, Stacks{pool}, [seed, &wrong](fiber&& main) {
                     std::array<volatile std::uint64_t, kWords> kept;
                     for (std::size_t i = 0; i < kept.size(); ++i) kept[i] = seed + i;
                     for (int round = 0; round < 2; ++round) {
                         main = std::move(main).resume();
                         for (std::size_t i = 0; i < kept.size(); ++i) wrong += kept[i] != seed + i;
                         wrong += descend(2, seed);
                     }
                     return std::move(main);
                 }};
}

std::size_t resume_all(std::vector<fiber>& fibers, int times) {
    std::size_t resumed = 0;
    for (int i = 0; i < times; ++i) {
        for (fiber& each : fibers) {
            if (!each) continue;
            each = std::move(each).resume();
            ++resumed;
        }
    }
    return resumed;
}

TEST_P(Fibers, FibersResumeCorrectlyAfterTheirStacksWereSwappedOut) {
    constexpr std::size_t kFibers = 100;
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(64));
    StackPool pool{pager, {.stack_bytes = 64 << 10, .stacks = kFibers}};
    const AlternateStack alternate;
    std::size_t wrong = 0;
    {
        std::vector<fiber> fibers;
        fibers.reserve(kFibers);
        for (std::size_t i = 0; i < kFibers; ++i) fibers.push_back(keeper(pool, seed() + i * 1000, wrong));
        EXPECT_EQ(resume_all(fibers, 1), kFibers);
        EXPECT_EQ(pool.taken(), kFibers);
        EXPECT_GT(pool.stats().swapped_bytes, std::uint64_t{kFibers} * kBasePageBytes);
        EXPECT_EQ(resume_all(fibers, 2), 2 * kFibers);
        for (const fiber& each : fibers) EXPECT_FALSE(each);
    }
    EXPECT_EQ(wrong, 0U);
    EXPECT_EQ(pool.taken(), 0U);
    EXPECT_EQ(pool.stats().resident_bytes + pool.stats().staged_bytes + pool.stats().swapped_bytes, 0U);
}

TEST_P(Fibers, TrimCurrentStackFreesTheUnusedStackOfAFiber) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(256));
    StackPool pool{pager, {.stack_bytes = 64 << 10, .stacks = 1}};
    const AlternateStack alternate;
    std::size_t wrong = 1;
    fiber sleeper{std::allocator_arg, Stacks{pool}, [&](fiber&& main) {
                      wrong = descend(40, seed());
                      main = std::move(main).resume();
                      trim_current_stack();
                      main = std::move(main).resume();
                      wrong += descend(40, seed());
                      return std::move(main);
                  }};
    sleeper = std::move(sleeper).resume();
    EXPECT_GE(pool.stats().resident_bytes, std::uint64_t{40} << 10);
    sleeper = std::move(sleeper).resume();
    EXPECT_LE(pool.stats().resident_bytes, 3 * kBasePageBytes);
    sleeper = std::move(sleeper).resume();
    EXPECT_EQ(wrong, 0U);
}

TEST_P(Fibers, AbandonedFibersAreUnwoundAndTheirStacksComeBack) {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "Boost.Context does not tell AddressSanitizer which stack an exception unwinds";
#endif
    constexpr std::size_t kFibers = 50;
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(32));
    StackPool pool{pager, {.stack_bytes = 64 << 10, .stacks = kFibers}};
    const AlternateStack alternate;
    const auto counted = std::make_shared<int>(0);
    for (int round = 0; round < 2; ++round) {
        std::vector<fiber> fibers;
        for (std::size_t i = 0; i < kFibers; ++i) {
            fibers.emplace_back(std::allocator_arg, Stacks{pool}, [copy = counted](fiber&& main) {
                main = std::move(main).resume();
                return std::move(main);
            });
        }
        EXPECT_EQ(resume_all(fibers, 1), kFibers);
        EXPECT_EQ(counted.use_count(), long{kFibers} + 1);
        fibers.clear();
        EXPECT_EQ(counted.use_count(), 1);
        EXPECT_EQ(pool.taken(), 0U);
    }
}

TEST_P(Fibers, OverflowOnAGuardedStackInsideAFiberIsSurvived) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(128));
    StackPool pool{pager, {.stack_bytes = 64 << 10, .stacks = 2}};
    const AlternateStack alternate;
    int survived = 0;
    fiber risky{std::allocator_arg, Stacks{pool}, [&](fiber&& main) {
                    GuardedStack spare = pool.take();
                    for (int i = 0; i < 3; ++i) {
                        survived += spare.run([] { descend_for_ever(nullptr); }).has_value() ? 1 : 0;
                        main = std::move(main).resume();
                    }
                    return std::move(main);
                }};
    while (risky) risky = std::move(risky).resume();
    EXPECT_EQ(survived, 3);
}

class ManyFibers : public TrapMatrix {
protected:
    void SetUp() override {
        if (kSanitized) GTEST_SKIP() << "too many stacks for a sanitizer";
#ifdef FAULTLINE_CHECKED
        GTEST_SKIP() << "so many stacks are slow in this build; the release build runs them";
#endif
        TrapMatrix::SetUp();
    }
};

/// Half of the memory holds resident pages, the other half compressed ones: a disk would take minutes.
TEST_P(ManyFibers, HundredThousandInAQuarterOfAGibibyteAllResumeCorrectly) {
    constexpr std::size_t kFibers = 100'000;
    constexpr std::size_t kMemory = std::size_t{256} << 20;
    Config config = config_with(kMemory / 2 / kBasePageBytes);
    config.compressed_limit = kMemory / 2;
    FAULTLINE_PAGER_OR_SKIP(pager, config);
    StackPool pool{pager, {.stack_bytes = 64 << 10, .stacks = kFibers}};
    const AlternateStack alternate;
    std::size_t wrong = 0;
    {
        std::vector<fiber> fibers;
        fibers.reserve(kFibers);
        for (std::size_t i = 0; i < kFibers; ++i) fibers.push_back(keeper<32>(pool, seed() + i * 1000, wrong));
        EXPECT_EQ(resume_all(fibers, 1), kFibers);
        EXPECT_GT(pool.stats().swapped_bytes, std::uint64_t{kFibers} * kBasePageBytes / 2);
        EXPECT_EQ(resume_all(fibers, 2), 2 * kFibers);
    }
    EXPECT_EQ(wrong, 0U);
    EXPECT_EQ(pool.taken(), 0U);
    EXPECT_LE(pager.stats().frames_peak, kMemory / 2);
}

INSTANTIATE_TEST_SUITE_P(Deliveries, ManyFibers, testing::Values(Variant{Delivery::uffd_signal, Eviction::move}),
                         VariantName{});
INSTANTIATE_TEST_SUITE_P(Matrix, Fibers, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
