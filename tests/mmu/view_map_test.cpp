// ViewMap compared with a simple model: an array of views, whose mappings are counted one by one after each of many
// random changes.

#include "mmu/view_map.hpp"

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
    View view = View::closed;
    bool guarded = false;
    bool operator==(const NaiveUnit&) const = default;
    [[nodiscard]] bool open() const { return !guarded && (view == View::read || view == View::write); }
};

class Naive {
public:
    void set_view(core::UnitRange run, View view) {
        for (std::size_t unit = run.first; unit < run.end(); ++unit) units_[unit].view = view;
    }
    void set_guarded(core::UnitRange run, bool on) {
        for (std::size_t unit = run.first; unit < run.end(); ++unit) units_[unit].guarded = on;
    }
    [[nodiscard]] const NaiveUnit& at(std::size_t unit) const { return units_[unit]; }
    [[nodiscard]] std::int64_t extra_mappings() const {
        std::int64_t count = 0;
        for (std::size_t unit = 1; unit < kUnits; ++unit) count += units_[unit].view != units_[unit - 1].view ? 1 : 0;
        return count;
    }

private:
    std::vector<NaiveUnit> units_ = std::vector<NaiveUnit>(kUnits);
};

class ViewMapTest : public testing::Test {
protected:
    ViewMapTest() { std::cout << "FAULTLINE_TEST_SEED=" << seed_ << std::endl; }

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
            const auto view = static_cast<View>(below(4));
            const std::int64_t before = naive_.extra_mappings();
            naive_.set_view(run, view);
            ASSERT_EQ(map_.set_view(run, view), naive_.extra_mappings() - before);
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
    ViewMap map_{address_, kUnits* core::kUnitBytes};
    Naive naive_;
};

TEST_F(ViewMapTest, StartsClosedAsOneMapping) {
    EXPECT_EQ(map_.units(), kUnits);
    EXPECT_EQ(map_.extra_mappings(), 0);
    EXPECT_TRUE(map_.all({0, kUnits}, View::closed));
    EXPECT_EQ(map_.forget(), 0);
}

TEST_F(ViewMapTest, ForgettingDistantUnitsTakesNoMemoryForWhatIsBetweenThem) {
    ViewMap wide{address_, std::size_t{1} << 40};
    wide.set_view({0, 1}, View::write);
    wide.set_view({wide.units() - 1, 1}, View::write);
    const std::size_t before = test::resident_bytes();
    EXPECT_EQ(wide.forget(), -2);
    EXPECT_LE(test::resident_bytes(), before + (std::size_t{1} << 20));
    EXPECT_EQ(wide.view(0), View::closed);
    EXPECT_EQ(wide.view(wide.units() - 1), View::closed);
}

TEST_F(ViewMapTest, AddressesAndUnitsNameEachOther) {
    EXPECT_EQ(map_.address_of(3), address_ + 3 * core::kUnitBytes);
    const core::UnitRange run = map_.run_of(address_ + 5 * core::kUnitBytes, 2 * core::kUnitBytes);
    EXPECT_EQ(run.first, 5U);
    EXPECT_EQ(run.end(), 7U);
}

TEST_F(ViewMapTest, CountsMappingsAsTheOracleDoes) {
    for (int change = 0; change < 20'000; ++change) {
        ASSERT_NO_FATAL_FAILURE(change_something());
        ASSERT_EQ(map_.extra_mappings(), naive_.extra_mappings()) << "change " << change;
        if (below(500) == 0) {
            ASSERT_NO_FATAL_FAILURE(forget_both());
        }
    }
}

TEST_F(ViewMapTest, SaysOfEachUnitWhatTheOracleSays) {
    for (int change = 0; change < 3000; ++change) {
        ASSERT_NO_FATAL_FAILURE(change_something());
        for (std::size_t unit = 0; unit < kUnits; ++unit) {
            ASSERT_EQ(map_.view(unit), naive_.at(unit).view) << unit;
            ASSERT_EQ(map_.guarded(unit), naive_.at(unit).guarded) << unit;
            ASSERT_EQ(map_.open(unit), naive_.at(unit).open()) << unit;
        }
        const core::UnitRange run = any_run();
        const auto wanted = static_cast<View>(below(4));
        bool all = true;
        bool any = false;
        bool all_guarded = true;
        for (std::size_t unit = run.first; unit < run.end(); ++unit) {
            all &= naive_.at(unit).view == wanted;
            any |= naive_.at(unit).view == wanted;
            all_guarded &= naive_.at(unit).guarded;
        }
        ASSERT_EQ(map_.all(run, wanted), all);
        ASSERT_EQ(map_.any(run, wanted), any);
        ASSERT_EQ(map_.all_guarded(run), all_guarded);
    }
}

TEST_F(ViewMapTest, NextClosedIsTheFirstRunOfClosedUnits) {
    for (int change = 0; change < 5000; ++change) {
        ASSERT_NO_FATAL_FAILURE(change_something());
        const core::UnitRange within = any_run();
        std::size_t first = within.first;
        while (first < within.end() && naive_.at(first).view != View::closed) ++first;
        std::size_t end = first;
        while (end < within.end() && naive_.at(end).view == View::closed) ++end;
        const core::UnitRange found = map_.next_closed(within);
        ASSERT_EQ(found.count, end - first);
        if (found.count > 0) {
            ASSERT_EQ(found.first, first);
        }
    }
}

/// Widening keeps the run, adds closed units only, and ends at the nearest unit that is not closed, if there is one.
TEST_F(ViewMapTest, WideningReachesTheNearestNeighbour) {
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
                ASSERT_EQ(naive_.at(unit).view, View::closed);
            }
            if (naive_.at(unit).view == View::closed) continue;
            nearest = std::min(nearest, unit < closed.first ? closed.first - unit - 1 : unit - closed.end());
        }
        if (nearest < kUnits) {
            ASSERT_EQ(wide.count, closed.count + nearest);
            ASSERT_TRUE((wide.first > 0 && naive_.at(wide.first - 1).view != View::closed) ||
                        (wide.end() < kUnits && naive_.at(wide.end()).view != View::closed));
        }
    }
}

TEST_F(ViewMapTest, WideningAloneStaysWhereItIs) {
    const core::UnitRange wide = map_.widened_to_neighbour({10, 5});
    EXPECT_EQ(wide.first, 10U);
    EXPECT_EQ(wide.count, 5U);
}

// ---- islands: what to hide when mappings are short

/// Hides what the map has named, in both.
void hide(ViewMap& map, Naive& naive, core::UnitRange run, View hidden_as) {
    map.set_view(run, hidden_as);
    naive.set_view(run, hidden_as);
    if (hidden_as == View::closed) return;
    map.set_guarded(run, true);
    naive.set_guarded(run, true);
}

TEST_F(ViewMapTest, HidingAnIslandNeverTakesMappingsAndGivesTwoBackInTheMiddle) {
    for (const View hidden_as : {View::closed, View::write}) {
        for (int change = 0; change < 5000; ++change) {
            ASSERT_NO_FATAL_FAILURE(change_something());
            std::array<iovec, 3> runs{};
            const std::size_t longest = 1 + below(4);
            const std::size_t found = map_.find_islands(runs, longest, hidden_as);
            ASSERT_LE(found, runs.size());
            for (std::size_t i = 0; i < found; ++i) {
                const core::UnitRange run = map_.run_of(runs[i].iov_base, runs[i].iov_len);
                ASSERT_GE(run.count, 1U);
                ASSERT_LE(run.count, longest);
                for (std::size_t unit = run.first; unit < run.end(); ++unit) {
                    ASSERT_TRUE(naive_.at(unit).open());
                    ASSERT_NE(naive_.at(unit).view, hidden_as);
                }
                const std::int64_t before = naive_.extra_mappings();
                const bool between_hidden = run.first > 0 && run.end() < kUnits &&
                                            naive_.at(run.first - 1).view == hidden_as &&
                                            naive_.at(run.end()).view == hidden_as;
                hide(map_, naive_, run, hidden_as);
                ASSERT_LE(naive_.extra_mappings(), before);
                if (between_hidden) {
                    ASSERT_EQ(naive_.extra_mappings(), before - 2);
                }
            }
        }
        ASSERT_NO_FATAL_FAILURE(forget_both());
    }
}

TEST_F(ViewMapTest, EveryIslandIsFoundInTheEnd) {
    for (const View hidden_as : {View::closed, View::write}) {
        const View shown = hidden_as == View::closed ? View::write : View::read;
        hide(map_, naive_, {0, kUnits}, hidden_as);
        for (std::size_t unit = 1; unit < kUnits; unit += 2) {
            map_.set_view({unit, 1}, shown);
            map_.set_guarded({unit, 1}, false);
        }
        std::size_t islands = 0;
        std::array<iovec, 7> runs{};
        while (const std::size_t found = map_.find_islands(runs, 1, hidden_as)) {
            for (std::size_t i = 0; i < found; ++i) {
                const core::UnitRange run = map_.run_of(runs[i].iov_base, runs[i].iov_len);
                map_.set_view(run, hidden_as);
                map_.set_guarded(run, hidden_as == View::write);
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

TEST_F(ViewMapTest, LongRunsAreNoIslandsForAShortSearch) {
    map_.set_view({20, 8}, View::write);
    std::array<iovec, 2> runs{};
    EXPECT_EQ(map_.find_islands(runs, 7, View::closed), 0U);
    EXPECT_EQ(map_.find_islands(runs, 8, View::closed), 1U);
    EXPECT_EQ(map_.find_islands(runs, 8, View::write), 0U) << "hidden as it is, nothing would be won";
}

}  // namespace
}  // namespace faultline::mmu
