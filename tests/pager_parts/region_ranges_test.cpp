// RegionRanges: finds what a sorted map finds, after any additions and removals, and does not change older snapshots.
#include "pager/region/region_ranges.hpp"

#include "pager/region/page_sizes.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <random>

namespace faultline::test {
namespace {

using pager::PageSizes;
using pager::Region;
using pager::RegionRanges;

constexpr std::uintptr_t kStep = 0x10000;

Region* region_at(std::uintptr_t begin) { return reinterpret_cast<Region*>(begin); }

/// Ranges of half a step each, at multiples of a step.
class Pair {
public:
    void insert(std::uintptr_t place) {
        const std::uintptr_t begin = place * kStep;
        if (!expected_.emplace(begin, begin + kStep / 2).second) return;
        snapshot_ = snapshot_->with({begin, begin + kStep / 2, region_at(begin)});
    }
    void erase(std::uintptr_t place) {
        if (expected_.erase(place * kStep) > 0) snapshot_ = snapshot_->without(place * kStep);
    }

    void expect_alike_at(std::uintptr_t address) const {
        auto next = expected_.upper_bound(address);
        if (next != expected_.begin() && std::prev(next)->second > address) --next;
        const RegionRanges::Range* const found = snapshot_->find_from(address);
        ASSERT_EQ(found != nullptr, next != expected_.end()) << address;
        if (found == nullptr) return;
        EXPECT_EQ(found->begin, next->first);
        EXPECT_EQ(found->end, next->second);
        EXPECT_EQ(found->region, region_at(next->first));
    }
    void expect_all_in_order() const {
        auto next = expected_.begin();
        snapshot_->for_each([&](const RegionRanges::Range& range) {
            ASSERT_NE(next, expected_.end());
            EXPECT_EQ(range.begin, next->first);
            ++next;
        });
        EXPECT_EQ(next, expected_.end());
    }
    [[nodiscard]] std::size_t size() const { return expected_.size(); }

private:
    std::map<std::uintptr_t, std::uintptr_t> expected_;
    std::unique_ptr<const RegionRanges> snapshot_ = std::make_unique<const RegionRanges>();
};

TEST(RegionRanges, FindsWhatAMapFinds) {
    constexpr std::uintptr_t kPlaces = 2000;
    std::mt19937_64 random{1};
    Pair pair;
    pair.expect_alike_at(kStep);
    for (int turn = 0; turn < 12; ++turn) {
        const bool grows = turn % 4 < 2;
        for (int i = 0; i < 700; ++i) {
            const std::uintptr_t place = 1 + random() % kPlaces;
            grows ? pair.insert(place) : pair.erase(place);
            pair.expect_alike_at(random() % ((kPlaces + 2) * kStep));
        }
        pair.expect_all_in_order();
    }
    for (std::uintptr_t place = 1; place <= kPlaces; ++place) pair.erase(place);
    EXPECT_EQ(pair.size(), 0U);
    pair.expect_all_in_order();
    pair.expect_alike_at(kStep);
}

TEST(RegionRanges, LeavesEarlierOnesAsTheyWere) {
    auto before = std::make_unique<const RegionRanges>();
    for (std::uintptr_t place = 1; place <= 300; ++place) {
        before = before->with({place * kStep, place * kStep + 1, region_at(place * kStep)});
    }
    const auto less = before->without(7 * kStep);
    const auto more = less->with({7 * kStep + 16, 7 * kStep + 17, region_at(7)});
    EXPECT_EQ(before->find_from(7 * kStep)->begin, 7 * kStep);
    EXPECT_EQ(less->find_from(7 * kStep)->begin, 8 * kStep);
    EXPECT_EQ(more->find_from(7 * kStep)->begin, 7 * kStep + 16);
}

TEST(PageSizes, KnowTheLargestThatIsThere) {
    PageSizes sizes;
    EXPECT_EQ(sizes.largest(), kBasePageBytes);
    sizes.add(kLargestPageBytes);
    sizes.add(std::size_t{64} << 10);
    sizes.add(kLargestPageBytes);
    sizes.remove(kLargestPageBytes);
    EXPECT_EQ(sizes.largest(), kLargestPageBytes);
    sizes.remove(kLargestPageBytes);
    EXPECT_EQ(sizes.largest(), std::size_t{64} << 10);
    sizes.remove(std::size_t{64} << 10);
    EXPECT_EQ(sizes.largest(), kBasePageBytes);
}

}  // namespace
}  // namespace faultline::test
