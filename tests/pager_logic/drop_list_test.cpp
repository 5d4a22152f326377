// DropList: how many calls and ranges it takes to free frames.

#include "machine.hpp"

#include <gtest/gtest.h>

#include <cstddef>

namespace faultline::test {
namespace {

constexpr std::size_t kListedPages = 8;

/// A region of clean pages. Returns after all of them are resident.
pager::Region& clean_pages(Machine& machine) {
    pager::Region& region = machine.pager().reserve(kListedPages * kBasePageBytes, kBasePageBytes);
    for (std::size_t page = 0; page < kListedPages; ++page) EXPECT_EQ(machine.load(region, page * kBasePageBytes), 0U);
    return region;
}

TEST(DropList, FreesNeighboursAsOneRange) {
    Machine machine{{.limit_pages = 2 * kListedPages}};
    pager::Region& region = clean_pages(machine);
    machine.pager().advice().evict(region, {0, kListedPages});
    EXPECT_EQ(machine.record()->drop_calls.load(), 1);
    EXPECT_EQ(machine.record()->dropped_ranges.load(), 1U);
    EXPECT_EQ(machine.record()->frames.load(), 0);
    machine.pager().destroy(region);
}

TEST(DropList, LeavesOutWhatLiesBetweenThePages) {
    Machine machine{{.limit_pages = 2 * kListedPages}};
    pager::Region& region = clean_pages(machine);
    machine.pager().pins().pin(region, {3, 1}, PinFor::reading);
    machine.pager().advice().evict(region, {0, kListedPages});
    EXPECT_EQ(machine.record()->drop_calls.load(), 1);
    EXPECT_EQ(machine.record()->dropped_ranges.load(), 2U);
    EXPECT_EQ(machine.record()->frames.load(), 1);
    machine.pager().unpin(region, {3, 1});
    machine.pager().destroy(region);
}

}  // namespace
}  // namespace faultline::test
