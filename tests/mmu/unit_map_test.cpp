// UnitMap compared with a simple model: an array of units, whose mappings are counted one by one after each of many
// random changes.

#include "mmu/unit_map.hpp"

#include "support/process.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <vector>

namespace faultline::mmu {
namespace {

constexpr std::size_t kUnits = 97;

struct NaiveUnit {
    UnitAccess access = UnitAccess::closed;
    bool guarded = false;
    bool operator==(const NaiveUnit&) const = default;
    [[nodiscard]] bool open() const { return !guarded && (access == UnitAccess::read || access == UnitAccess::write); }
};

class Naive {
public:
    void set_access(core::UnitRange run, UnitAccess access) {
        for (std::size_t unit = run.first; unit < run.end(); ++unit) units_[unit].access = access;
    }
    void set_guarded(core::UnitRange run, bool on) {
        for (std::size_t unit = run.first; unit < run.end(); ++unit) units_[unit].guarded = on;
    }
    [[nodiscard]] const NaiveUnit& at(std::size_t unit) const { return units_[unit]; }
    [[nodiscard]] std::int64_t extra_mappings() const {
        std::int64_t count = 0;
        for (std::size_t unit = 1; unit < kUnits; ++unit)
            count += units_[unit].access != units_[unit - 1].access ? 1 : 0;
        return count;
    }

private:
    std::vector<NaiveUnit> units_ = std::vector<NaiveUnit>(kUnits);
};

class UnitMapTest : public testing::Test {
protected:
    UnitMapTest() { std::cout << "FAULTLINE_TEST_SEED=" << seed_ << std::endl; }

    std::size_t below(std::size_t bound) { return random_() % bound; }
    core::UnitRange any_run() {
        const std::size_t first = below(kUnits);
        return {first, 1 + below(std::min<std::size_t>(kUnits - first, 1 + below(20)))};
    }
    static std::uint64_t chosen_seed() {
        const char* const wanted = std::getenv("FAULTLINE_TEST_SEED");
        return wanted != nullptr ? std::strtoull(wanted, nullptr, 0) : std::random_device{}();
    }

    /// Makes the same random change in both.
    void change_something() {
        const core::UnitRange run = any_run();
        if (below(3) == 0) {
            const bool on = below(2) == 0;
            map_.set_guarded(run, on);
            naive_.set_guarded(run, on);
        } else {
            const auto access = static_cast<UnitAccess>(below(4));
            const std::int64_t before = naive_.extra_mappings();
            naive_.set_access(run, access);
            ASSERT_EQ(map_.set_access(run, access), naive_.extra_mappings() - before);
        }
    }

    void forget_both() {
        const std::int64_t before = naive_.extra_mappings();
        naive_ = {};
        ASSERT_EQ(map_.forget(), -before);
    }

    std::uint64_t seed_ = chosen_seed();
    std::mt19937_64 random_{seed_};
    // never dereferenced
    std::byte* const address_ = reinterpret_cast<std::byte*>(std::uintptr_t{1} << 40);
    UnitMap map_{address_, kUnits* core::kUnitBytes};
    Naive naive_;
};

TEST_F(UnitMapTest, StartsClosedAsOneMapping) {
    EXPECT_EQ(map_.units(), kUnits);
    EXPECT_EQ(map_.extra_mappings(), 0);
    EXPECT_TRUE(map_.all({0, kUnits}, UnitAccess::closed));
    EXPECT_EQ(map_.forget(), 0);
}

TEST_F(UnitMapTest, ForgettingDistantUnitsTakesNoMemoryForWhatIsBetweenThem) {
    UnitMap wide{address_, std::size_t{1} << 40};
    wide.set_access({0, 1}, UnitAccess::write);
    wide.set_access({wide.units() - 1, 1}, UnitAccess::write);
    const std::size_t before = test::resident_bytes();
    EXPECT_EQ(wide.forget(), -2);
    EXPECT_LE(test::resident_bytes(), before + (std::size_t{1} << 20));
    EXPECT_EQ(wide.access(0), UnitAccess::closed);
    EXPECT_EQ(wide.access(wide.units() - 1), UnitAccess::closed);
}

TEST_F(UnitMapTest, AddressesAndUnitsNameEachOther) {
    EXPECT_EQ(map_.address_of(3), address_ + 3 * core::kUnitBytes);
    const core::UnitRange run = map_.run_of(address_ + 5 * core::kUnitBytes, 2 * core::kUnitBytes);
    EXPECT_EQ(run.first, 5U);
    EXPECT_EQ(run.end(), 7U);
}

TEST_F(UnitMapTest, CountsMappingsAsTheOracleDoes) {
    for (int change = 0; change < 20'000; ++change) {
        ASSERT_NO_FATAL_FAILURE(change_something());
        ASSERT_EQ(map_.extra_mappings(), naive_.extra_mappings()) << "change " << change;
        if (below(500) == 0) {
            ASSERT_NO_FATAL_FAILURE(forget_both());
        }
    }
}

TEST_F(UnitMapTest, SaysOfEachUnitWhatTheOracleSays) {
    for (int change = 0; change < 3000; ++change) {
        ASSERT_NO_FATAL_FAILURE(change_something());
        for (std::size_t unit = 0; unit < kUnits; ++unit) {
            ASSERT_EQ(map_.access(unit), naive_.at(unit).access) << unit;
            ASSERT_EQ(map_.guarded(unit), naive_.at(unit).guarded) << unit;
            ASSERT_EQ(map_.open(unit), naive_.at(unit).open()) << unit;
        }
        const core::UnitRange run = any_run();
        const auto wanted = static_cast<UnitAccess>(below(4));
        bool all = true;
        bool any = false;
        bool all_guarded = true;
        for (std::size_t unit = run.first; unit < run.end(); ++unit) {
            all &= naive_.at(unit).access == wanted;
            any |= naive_.at(unit).access == wanted;
            all_guarded &= naive_.at(unit).guarded;
        }
        ASSERT_EQ(map_.all(run, wanted), all);
        ASSERT_EQ(map_.any(run, wanted), any);
        ASSERT_EQ(map_.all_guarded(run), all_guarded);
    }
}

TEST_F(UnitMapTest, NextClosedIsTheFirstRunOfClosedUnits) {
    for (int change = 0; change < 5000; ++change) {
        ASSERT_NO_FATAL_FAILURE(change_something());
        const core::UnitRange within = any_run();
        std::size_t first = within.first;
        while (first < within.end() && naive_.at(first).access != UnitAccess::closed) ++first;
        std::size_t end = first;
        while (end < within.end() && naive_.at(end).access == UnitAccess::closed) ++end;
        const core::UnitRange found = map_.next_closed(within);
        ASSERT_EQ(found.count, end - first);
        if (found.count > 0) {
            ASSERT_EQ(found.first, first);
        }
    }
}

/// Widening keeps the run, adds closed units only, and ends at the nearest unit that is not closed, if there is one.
TEST_F(UnitMapTest, WideningReachesTheNearestNeighbour) {
    for (int change = 0; change < 5000; ++change) {
        ASSERT_NO_FATAL_FAILURE(change_something());
        const core::UnitRange closed = map_.next_closed(any_run());
        if (closed.count == 0) continue;
        const core::UnitRange wide = map_.widened_to_neighbour(closed);
        ASSERT_LE(wide.first, closed.first);
        ASSERT_GE(wide.end(), closed.end());
        ASSERT_LE(wide.end(), kUnits);
        std::size_t nearest = kUnits;  // units between the run and the nearest that is not closed
        for (std::size_t unit = 0; unit < kUnits; ++unit) {
            if (unit >= wide.first && unit < wide.end()) {
                ASSERT_EQ(naive_.at(unit).access, UnitAccess::closed);
            }
            if (naive_.at(unit).access == UnitAccess::closed) continue;
            nearest = std::min(nearest, unit < closed.first ? closed.first - unit - 1 : unit - closed.end());
        }
        if (nearest < kUnits) {
            ASSERT_EQ(wide.count, closed.count + nearest);
            ASSERT_TRUE((wide.first > 0 && naive_.at(wide.first - 1).access != UnitAccess::closed) ||
                        (wide.end() < kUnits && naive_.at(wide.end()).access != UnitAccess::closed));
        }
    }
}

TEST_F(UnitMapTest, WideningAloneStaysWhereItIs) {
    const core::UnitRange wide = map_.widened_to_neighbour({10, 5});
    EXPECT_EQ(wide.first, 10U);
    EXPECT_EQ(wide.count, 5U);
}

// ---- islands: what to hide when mappings are short

/// Hides what the map has named, in both.
void hide(UnitMap& map, Naive& naive, core::UnitRange run, UnitAccess closed_as) {
    map.set_access(run, closed_as);
    naive.set_access(run, closed_as);
    if (closed_as == UnitAccess::closed) return;
    map.set_guarded(run, true);
    naive.set_guarded(run, true);
}

TEST_F(UnitMapTest, HidingAnIslandNeverTakesMappingsAndGivesTwoBackInTheMiddle) {
    for (const UnitAccess closed_as : {UnitAccess::closed, UnitAccess::write}) {
        for (int change = 0; change < 5000; ++change) {
            ASSERT_NO_FATAL_FAILURE(change_something());
            std::array<iovec, 3> runs{};
            const std::size_t longest = 1 + below(4);
            const std::size_t found = map_.find_islands(runs, longest, closed_as);
            ASSERT_LE(found, runs.size());
            for (std::size_t i = 0; i < found; ++i) {
                const core::UnitRange run = map_.run_of(runs[i].iov_base, runs[i].iov_len);
                ASSERT_GE(run.count, 1U);
                ASSERT_LE(run.count, longest);
                for (std::size_t unit = run.first; unit < run.end(); ++unit) {
                    ASSERT_TRUE(naive_.at(unit).open());
                    ASSERT_NE(naive_.at(unit).access, closed_as);
                }
                const std::int64_t before = naive_.extra_mappings();
                const bool between_hidden = run.first > 0 && run.end() < kUnits &&
                                            naive_.at(run.first - 1).access == closed_as &&
                                            naive_.at(run.end()).access == closed_as;
                hide(map_, naive_, run, closed_as);
                ASSERT_LE(naive_.extra_mappings(), before);
                if (between_hidden) {
                    ASSERT_EQ(naive_.extra_mappings(), before - 2);
                }
            }
        }
        ASSERT_NO_FATAL_FAILURE(forget_both());
    }
}

TEST_F(UnitMapTest, EveryIslandIsFoundInTheEnd) {
    for (const UnitAccess closed_as : {UnitAccess::closed, UnitAccess::write}) {
        const UnitAccess shown = closed_as == UnitAccess::closed ? UnitAccess::write : UnitAccess::read;
        hide(map_, naive_, {0, kUnits}, closed_as);
        for (std::size_t unit = 1; unit < kUnits; unit += 2) {
            map_.set_access({unit, 1}, shown);
            map_.set_guarded({unit, 1}, false);
        }
        std::size_t islands = 0;
        std::array<iovec, 7> runs{};
        while (const std::size_t found = map_.find_islands(runs, 1, closed_as)) {
            for (std::size_t i = 0; i < found; ++i) {
                const core::UnitRange run = map_.run_of(runs[i].iov_base, runs[i].iov_len);
                map_.set_access(run, closed_as);
                map_.set_guarded(run, closed_as == UnitAccess::write);
            }
            islands += found;
            ASSERT_LE(islands, kUnits / 2);
        }
        EXPECT_EQ(islands, kUnits / 2);
        EXPECT_EQ(map_.extra_mappings(), 0);
        map_.forget();
        naive_ = {};
    }
}

TEST_F(UnitMapTest, LongRunsAreNoIslandsForAShortSearch) {
    map_.set_access({20, 8}, UnitAccess::write);
    std::array<iovec, 2> runs{};
    EXPECT_EQ(map_.find_islands(runs, 7, UnitAccess::closed), 0U);
    EXPECT_EQ(map_.find_islands(runs, 8, UnitAccess::closed), 1U);
    EXPECT_EQ(map_.find_islands(runs, 8, UnitAccess::write), 0U) << "hidden as it is, nothing would be won";
}

}  // namespace
}  // namespace faultline::mmu
