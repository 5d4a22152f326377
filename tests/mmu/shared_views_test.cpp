// SharedViews: which address shows which page, compared with a table of single pages.

#include "mmu/shared_views.hpp"

#include "core/units.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace faultline::mmu {
namespace {

constexpr std::uintptr_t kUnit = core::kUnitBytes;
constexpr std::uintptr_t kRegion = 1000 * kUnit;  // a shared region of 16 pages
constexpr std::uintptr_t kPages = 16;
constexpr std::uintptr_t kAddresses = 64;  // views lie in this many pages, starting at address 0

using SeenAt = std::map<std::uintptr_t, std::uintptr_t>;  // address in a view -> page of the region

SeenAt table_of(const std::vector<SharedView>& views) {
    SeenAt table;
    for (const SharedView& view : views) {
        for (std::uintptr_t at = view.range.begin; at < view.range.end; at += kUnit) {
            EXPECT_TRUE(table.emplace(at, view.source_of(at)).second) << "two views at one address";
        }
    }
    return table;
}

TEST(SharedViews, SayOfEachPageWhereItIsSeenHoweverTheyWereCut) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    const auto below = [&](std::uint64_t end) { return random() % end; };
    std::vector<SharedView> views;
    SeenAt expected;
    for (int step = 0; step < 300; ++step) {
        const std::uintptr_t count = below(kPages) + 1;
        const std::uintptr_t begin = below(kAddresses - count + 1) * kUnit;
        const std::uintptr_t end = begin + count * kUnit;
        std::vector<SharedView> others = views;
        const std::vector<SharedView> gone = cut_out(others, begin, end);
        SeenAt rest = expected;
        rest.erase(rest.lower_bound(begin), rest.lower_bound(end));
        ASSERT_EQ(table_of(others), rest);
        for (const SharedView& view : gone) {
            const std::vector<core::AddressRange> alone = seen_only_in(view, others);
            for (std::uintptr_t page = view.source; page < view.source_end(); page += kUnit) {
                const bool elsewhere =
                    std::any_of(rest.begin(), rest.end(), [&](const auto& line) { return line.second == page; });
                const bool named = std::any_of(alone.begin(), alone.end(),
                                               [&](const core::AddressRange& span) { return span.contains(page); });
                ASSERT_NE(named, elsewhere);
            }
        }
        views = others;
        expected = rest;
        if (below(3) != 0) {
            const std::uintptr_t source = kRegion + below(kPages - count + 1) * kUnit;
            views.push_back({{begin, end}, source});
            for (std::uintptr_t i = 0; i < count; ++i) expected[begin + i * kUnit] = source + i * kUnit;
        }

        const SharedViews all{views};
        for (std::uintptr_t at = 0; at < kAddresses * kUnit; at += kUnit) {
            const SharedView* const view = all.at(at + 5);
            const auto line = expected.find(at);
            ASSERT_EQ(view != nullptr, line != expected.end());
            if (view != nullptr) {
                ASSERT_EQ(view->source_of(at), line->second);
            }
        }
        const std::uintptr_t first = below(kPages);
        const std::uintptr_t last = first + below(kPages - first);
        SeenAt seen;
        all.for_each_of(kRegion + first * kUnit, (last - first + 1) * kUnit, [&](const SharedView& part) {
            for (const auto& [at, source] : table_of({part})) EXPECT_TRUE(seen.emplace(at, source).second);
        });
        SeenAt wanted;
        for (const auto& [at, source] : expected) {
            if (source >= kRegion + first * kUnit && source <= kRegion + last * kUnit) wanted.emplace(at, source);
        }
        ASSERT_EQ(seen, wanted);
    }
}

}  // namespace
}  // namespace faultline::mmu
