// The tables of figures: every member of a struct once; sums, differences and copies that go over them.
#include "core/stats_figures.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>

namespace faultline::test {
namespace {

template <typename Struct>
class FigureTables : public ::testing::Test {};

using Structs = ::testing::Types<RegionStats, PagerStats, HeapStats>;
TYPED_TEST_SUITE(FigureTables, Structs);

// The tables' lengths are checked at compile time. A member that is there twice would hide one that is missing.
TYPED_TEST(FigureTables, HaveEachMemberOnceUnderItsOwnName) {
    TypeParam values;
    std::uint64_t next = 0;
    std::set<std::string_view> names;
    for (const auto& figure : core::figures_of<TypeParam>()) {
        values.*figure.member = ++next;
        EXPECT_TRUE(names.insert(figure.name).second) << figure.name;
    }
    std::uint64_t expected = 0;
    for (const auto& figure : core::figures_of<TypeParam>())
        EXPECT_EQ(values.*figure.member, ++expected) << figure.name;
}

TEST(Figures, AreAddedMemberByMember) {
    PagerStats sum;
    sum.hard_faults = 3;
    sum.resident_limit = 10;
    PagerStats other;
    other.hard_faults = 4;
    other.direct_reclaims = 5;
    core::add_figures(sum, other);
    EXPECT_EQ(sum.hard_faults, 7U);
    EXPECT_EQ(sum.direct_reclaims, 5U);
    EXPECT_EQ(sum.resident_limit, 10U);
}

TEST(Figures, SubtractCountersAndKeepGauges) {
    PagerStats earlier;
    earlier.evictions = 3;
    earlier.write_errors = 9;
    earlier.resident_bytes = 100;
    PagerStats later;
    later.evictions = 10;
    later.write_errors = 8;  // read while it changed
    later.resident_bytes = 70;
    core::subtract_counters(later, earlier);
    EXPECT_EQ(later.evictions, 7U);
    EXPECT_EQ(later.write_errors, 0U);
    EXPECT_EQ(later.resident_bytes, 70U);
}

TEST(Figures, LatenciesSinceASample) {
    PagerStats earlier;
    earlier.soft_latency.record(100, 2);
    PagerStats later = earlier;
    later.soft_latency.record(100, 3);
    later.write_latency.record(7);
    core::subtract_latencies(later, earlier);
    EXPECT_EQ(later.soft_latency.count(), 3U);
    EXPECT_EQ(later.write_latency.count(), 1U);
    EXPECT_EQ(later.hard_latency.count(), 0U);
}

struct Some {
    std::uint64_t evictions = 0;
    std::uint64_t hard_faults = 0;
    std::uint64_t unknown = 0;
};

}  // namespace
}  // namespace faultline::test

template <>
struct faultline::core::Figures<faultline::test::Some> {
    static constexpr std::array table{FAULTLINE_COUNTER(faultline::test::Some, evictions),
                                      FAULTLINE_COUNTER(faultline::test::Some, hard_faults),
                                      FAULTLINE_COUNTER(faultline::test::Some, unknown)};
};

namespace faultline::test {
namespace {

TEST(Figures, AreCopiedByName) {
    RegionStats stats;
    stats.hard_faults = 5;
    stats.evictions = 6;
    Some some{.unknown = 7};
    static_assert(core::CommonFigures<Some, RegionStats>::kCount == 2);
    core::copy_common_figures(some, stats);
    EXPECT_EQ(some.evictions, 6U);
    EXPECT_EQ(some.hard_faults, 5U);
    EXPECT_EQ(some.unknown, 7U);
}

}  // namespace
}  // namespace faultline::test
