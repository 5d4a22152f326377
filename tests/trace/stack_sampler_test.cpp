// The sampler's estimates are those of the faults that it was told of, and no sample is lost unseen.
#include "trace/stacks/stack_sampler.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace faultline::trace {
namespace {

constexpr std::size_t kWaiting = 64;

struct Estimates {
    std::array<double, kSampledKinds> ticks{};
    std::array<double, kSampledKinds> faults{};
    std::uint64_t samples = 0;
};

void take_all(StackSampler& sampler, Estimates& sums) {
    while (sampler.take([&](const StackSample& sample) {
        const auto kind = static_cast<std::size_t>(sample.kind);
        sums.ticks[kind] += static_cast<double>(sample.weight_ticks);
        sums.faults[kind] += sample.ticks >= sample.step_ticks
                                 ? 1.0
                                 : static_cast<double>(sample.step_ticks) / static_cast<double>(sample.ticks);
        ++sums.samples;
    })) {
    }
}

TEST(StackSampler, EstimatesTimeAndCountsOfFaultsOfVeryDifferentCosts) {
    constexpr std::uint64_t kStep = 1000;
    constexpr unsigned kSeed = 20;
    StackSampler sampler{kWaiting, kStep, 0, 0};
    std::mt19937_64 random{kSeed};
    Estimates estimates;
    std::array<double, kSampledKinds> ticks{};
    std::array<double, kSampledKinds> faults{};
    for (int i = 0; i < 200'000; ++i) {
        // Nine cheap first touches for each dear hard fault.
        const bool hard = random() % 10 == 0;
        const std::uint64_t took = hard ? 1500 + random() % 1000 : 10 + random() % 20;
        const SampledKind kind = hard ? SampledKind::hard : SampledKind::first_touch;
        ticks[static_cast<std::size_t>(kind)] += static_cast<double>(took);
        faults[static_cast<std::size_t>(kind)] += 1;
        sampler.count({.kind = kind, .ticks = took});
        take_all(sampler, estimates);
    }
    for (const SampledKind kind : {SampledKind::first_touch, SampledKind::hard}) {
        const auto at = static_cast<std::size_t>(kind);
        EXPECT_NEAR(estimates.ticks[at] / ticks[at], 1.0, 0.1) << "kind " << at << ", seed " << kSeed;
        EXPECT_NEAR(estimates.faults[at] / faults[at], 1.0, 0.1) << "kind " << at << ", seed " << kSeed;
    }
    const FaultTotals totals = sampler.totals();
    EXPECT_EQ(totals.faults[static_cast<std::size_t>(SampledKind::hard)],
              static_cast<std::uint64_t>(faults[static_cast<std::size_t>(SampledKind::hard)]));
    EXPECT_EQ(totals.samples, estimates.samples);
    EXPECT_EQ(totals.lost, 0U);
}

TEST(StackSampler, TakesFewerSamplesTheLongerItRuns) {
    constexpr std::uint64_t kStep = 10;
    StackSampler sampler{kWaiting, kStep, 0, 0};
    Estimates estimates;
    constexpr std::uint64_t kFaults = 7 * StackSampler::kSamplesPerStep;
    for (std::uint64_t i = 0; i < kFaults; ++i) {
        sampler.count({.kind = SampledKind::soft, .ticks = kStep});
        take_all(sampler, estimates);
    }
    // One fault a sample, then two, then four.
    EXPECT_NEAR(static_cast<double>(estimates.samples), 3.0 * StackSampler::kSamplesPerStep, 10);
    EXPECT_NEAR(estimates.ticks[2], static_cast<double>(kStep * kFaults), 100);
}

TEST(StackSampler, CountsTheSamplesThatFindTheRingFull) {
    StackSampler sampler{kWaiting, 1, 0, 0};
    bool hurried = false;
    for (std::size_t i = 0; i < kWaiting + 5; ++i) hurried = sampler.count({.ticks = 1}) || hurried;
    EXPECT_TRUE(hurried);
    EXPECT_EQ(sampler.totals().samples, kWaiting);
    EXPECT_EQ(sampler.totals().lost, 5U);
}

TEST(StackSampler, KeepsTheCallersRegistersAndStackWhereThereAreNoOthers) {
    StackSampler sampler{kWaiting, 1, 512, 0};
    sampler.count({.ticks = 1});
    const std::uintptr_t here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    ASSERT_TRUE(sampler.take([&](const StackSample& sample) {
        EXPECT_TRUE(sample.asked);
        EXPECT_LT(sample.registers[kRsp], here);
        EXPECT_GT(sample.registers[kRsp], here - (64 << 10));
        EXPECT_NE(sample.registers[kRip], 0U);
        EXPECT_EQ(sample.stack_bytes, 512U);
    }));
}

}  // namespace
}  // namespace faultline::trace
