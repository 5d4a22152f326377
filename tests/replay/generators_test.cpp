// The workloads are reproducible, and no policy has fewer hard faults on them than the optimal one (opt).
#include "replay/generators.hpp"
#include "replay/contestants.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

namespace faultline::test {
namespace {

using bench::Contestant;
using bench::DenseTrace;
using bench::PageReference;
using bench::PagerSettings;
using bench::Suite;
using bench::Workload;
using bench::WorkloadScale;

constexpr WorkloadScale kScale{400, 20'000};

class AnyWorkload : public testing::TestWithParam<std::tuple<std::size_t, Suite>> {
protected:
    static constexpr std::uint64_t kSeed = 77;

    AnyWorkload() { RecordProperty("seed", std::to_string(kSeed)); }

    [[nodiscard]] std::vector<PageReference> generate(std::uint64_t seed = kSeed) const {
        const auto& [number, suite] = GetParam();
        return bench::workloads()[number].generate(kScale, seed, suite);
    }
};

TEST_P(AnyWorkload, TraceHasTheRequestedLengthAndMorePagesThanFrames) {
    const std::vector<PageReference> references = generate();
    EXPECT_EQ(references.size(), kScale.references);
    EXPECT_GT(bench::renumbered(references).pages, kScale.frames);
    for (const PageReference& reference : references) ASSERT_LT(reference.page, 4 * kScale.frames);
}

TEST_P(AnyWorkload, TraceDependsOnTheSeedOnly) {
    const std::vector<PageReference> references = generate();
    EXPECT_EQ(generate(), references);
    EXPECT_NE(generate(kSeed + 1), references);
}

TEST_P(AnyWorkload, OptimalPolicyHasTheFewestHardFaults) {
    const DenseTrace trace = bench::renumbered(generate());
    const PagerSettings settings{kScale.frames};
    const auto hard_faults = [&](const Contestant& policy) {
        return bench::replay(*policy.make(trace, settings), trace).hard_faults;
    };
    const std::uint64_t fewest = hard_faults(*bench::find_contestant("opt"));
    for (const Contestant& policy : bench::contestants()) EXPECT_GE(hard_faults(policy), fewest) << policy.name;
}

TEST_P(AnyWorkload, ModelsNeverUseMoreFramesThanTheLimit) {
    const DenseTrace trace = bench::renumbered(generate());
    for (const bench::EvictorKind evictor : {bench::EvictorKind::faulting_thread, bench::EvictorKind::background}) {
        const PagerSettings settings{kScale.frames, evictor};
        for (const Contestant& policy : bench::contestants()) {
            const auto model = policy.make(trace, settings);
            for (const DenseTrace::Reference& reference : trace.references) {
                model->touch(reference);
                ASSERT_LE(model->frames_used(), kScale.frames) << policy.name;
            }
        }
    }
}

std::string label(const testing::TestParamInfo<std::tuple<std::size_t, Suite>>& instance) {
    const auto& [number, suite] = instance.param;
    std::string text{bench::workloads()[number].name};
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c == '-' || c == '+'; }, '_');
    std::string of_suite{bench::name(suite)};
    std::replace(of_suite.begin(), of_suite.end(), '-', '_');
    return text + "_" + of_suite;
}

INSTANTIATE_TEST_SUITE_P(Workloads, AnyWorkload,
                         testing::Combine(testing::Range<std::size_t>(0, bench::workloads().size()),
                                          testing::Values(Suite::tuning, Suite::held_out, Suite::fresh)),
                         label);

TEST(Workloads, NamesOfWorkloadsAndPoliciesAreUnique) {
    EXPECT_EQ(bench::find_workload("nothing"), nullptr);
    for (const Workload& one : bench::workloads()) EXPECT_EQ(bench::find_workload(one.name), &one);
    for (const Contestant& one : bench::contestants()) EXPECT_EQ(bench::find_contestant(one.name), &one);
}

}  // namespace
}  // namespace faultline::test
