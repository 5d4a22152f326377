// ProgramStatus: every figure of it comes from the pager's or the heap's statistics.
#include "run/program_status.hpp"

#include "core/stats_figures.hpp"

#include <gtest/gtest.h>

#include <cstdint>

namespace faultline::run {
namespace {

template <typename Struct>
void number(Struct& stats, std::uint64_t first) {
    for (const auto& figure : core::figures_of<Struct>()) stats.*figure.member = first++;
}

template <typename Struct>
void expect_no_zeros(const Struct& values) {
    for (const auto& figure : core::figures_of<Struct>()) EXPECT_NE(values.*figure.member, 0U) << figure.name;
}

TEST(ProgramStatus, HasEachFigureOfPagerAndHeap) {
    PagerStats pager;
    number(pager, 100);
    HeapStats heap;
    number(heap, 200);
    ProgramStatus status;
    status.gauges.reservation = 77;
    set_figures(status, pager, heap);
    expect_no_zeros(status.counters);
    expect_no_zeros<MemoryGauges>(status.gauges);
    expect_no_zeros<HeapGauges>(status.gauges);
    EXPECT_EQ(status.counters.direct_reclaims, pager.direct_reclaims);
    EXPECT_EQ(status.counters.discarded_bytes, heap.discarded_bytes);
    EXPECT_EQ(status.gauges.compressed_used, pager.compressed_used);
    EXPECT_EQ(status.gauges.mapping_bytes, heap.mapping_bytes);
    EXPECT_EQ(status.gauges.reservation, 77U);
}

TEST(ProgramStatus, CountsSinceAForkAreNeverNegative) {
    const ProgramCounters before{.hard_faults = 5, .evictions = 9};
    const ProgramCounters now{.hard_faults = 8, .soft_faults = 1, .evictions = 2};
    EXPECT_EQ(now.since(before), (ProgramCounters{.hard_faults = 3, .soft_faults = 1}));
}

}  // namespace
}  // namespace faultline::run
