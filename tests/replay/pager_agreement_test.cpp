// The model agrees with the pager: both count exactly the same faults over the same trace.
#include "policy/built_in_policies.hpp"
#include "replay/generators.hpp"
#include "replay/pager_model.hpp"
#include "support/variants.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace faultline::test {
namespace {

using bench::DenseTrace;
using bench::FrameOfStaged;
using bench::PageReference;
using bench::PagerModel;

constexpr std::size_t kFrames = 4096;  // so many that the pager has no progress guard, like the model

std::vector<Variant> variants() {
    std::vector<Variant> all;
    for (const Replacement replacement : {Replacement::second_chance, Replacement::fifo}) {
        for (const Variant& variant : deliveries_and_evictions(replacement)) {
            // Handler threads may update counters after they wake the faulting thread.
            if (variant.delivery != Delivery::uffd_threads) all.push_back(variant);
        }
    }
    return all;
}

FrameOfStaged frame_of_staged(Eviction eviction) {
    if (eviction == Eviction::move) return FrameOfStaged::moves;
    return eviction == Eviction::copy ? FrameOfStaged::copied : FrameOfStaged::stays;
}

bench::ReplayCounts counts_of_model(const DenseTrace& trace, const Variant& variant) {
    PagerModel model{trace,
                     {kFrames, bench::EvictorKind::faulting_thread, frame_of_staged(variant.eviction), true},
                     policy::factory_of(variant.replacement)};
    return bench::replay(model, trace);
}

/// Accesses the pages of `region` in the trace's order. The first access of each is a write, as in the model.
void touch_all(Region& region, const DenseTrace& trace) {
    std::vector<bool> touched(trace.pages);
    std::uint64_t writes = 0;  // each changes its page: one that has not changed leaves without a write
    for (const DenseTrace::Reference& reference : trace.references) {
        auto* const word =
            reinterpret_cast<volatile std::uint64_t*>(region.data() + std::size_t{reference.page} * kBasePageBytes);
        if (touched[reference.page] && !reference.write) {
            ASSERT_EQ(*word & 0xffff'ffffU, reference.page + 1U);
        } else {
            *word = ++writes << 32 | (reference.page + 1U);
        }
        touched[reference.page] = true;
    }
}

class PagerAgreement : public testing::TestWithParam<Variant> {
protected:
    static constexpr std::uint64_t kSeed = 31;
};

TEST_P(PagerAgreement, ModelAndPagerCountTheSameFaults) {
    RecordProperty("seed", std::to_string(kSeed));
    const bench::Workload& workload = *bench::find_workload("zipf-steep");
    const DenseTrace trace = bench::renumbered(workload.generate({kFrames, 40'000}, kSeed, bench::Suite::tuning));
    const bench::ReplayCounts expected = counts_of_model(trace, GetParam());

    // The pager sets one page of the limit aside.
    Config config = config_for(GetParam(), (kFrames + 1) * kBasePageBytes);
    config.background_evictor = false;
    config.read_ahead = false;
    FAULTLINE_PAGER_OR_SKIP(pager, config);
    Region region = pager.reserve(trace.pages * kBasePageBytes);
    ASSERT_NO_FATAL_FAILURE(touch_all(region, trace));

    const RegionStats stats = region.stats();
    EXPECT_EQ(stats.first_touches, expected.first_touches);
    EXPECT_EQ(stats.hard_faults, expected.hard_faults);
    EXPECT_EQ(stats.soft_faults, expected.soft_faults);
    EXPECT_EQ(stats.bytes_written, expected.written * kBasePageBytes);
    EXPECT_GT(stats.hard_faults, 0U);
}

INSTANTIATE_TEST_SUITE_P(Variants, PagerAgreement, testing::ValuesIn(variants()), VariantName{});

}  // namespace
}  // namespace faultline::test
