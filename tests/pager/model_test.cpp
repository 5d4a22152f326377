// Random operations on a region, in any order and with few frames: the region holds what an array would hold.

#include "shadow_model.hpp"

#include "pager_fixture.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace faultline::test {
namespace {

/// How much of the region may be resident, in pages.
struct Budget {
    const char* name;
    std::size_t start;
    ShadowModel::Limits limits;
    bool background_evictor;
};

struct Scale {
    std::size_t pages;
    int steps;
};

Scale scale_for(std::size_t page_size) {
    if (page_size == kBasePageBytes) return {640, 1600};
    if (page_size == kLargestPageBytes) return {20, 50};
    return {64, 500};
}

std::vector<Budget> budgets(std::size_t pages) {
    constexpr std::size_t least = Pager::kMinimumPages;
    return {{"minimal", least, {least, least}, false},
            {"tight", 2 * least, {least, 4 * least}, false},
            {"roomy", pages * 2 / 3, {pages / 2, pages}, true},
            {"ample", pages + least, {pages + least, pages + 2 * least}, true}};
}

std::uint64_t seed_of_this_run() {
    const char* given = std::getenv("FAULTLINE_TEST_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : 20240607;
}

class Model : public VariantTest {
protected:
    void play(const Budget& budget, std::uint64_t seed) {
        SCOPED_TRACE(std::string(budget.name) + " budget, FAULTLINE_TEST_SEED=" + std::to_string(seed));
        const std::size_t page_size = GetParam().page_size;
        const Scale scale = scale_for(page_size);
        Config config = config_for(GetParam(), budget.start * page_size);
        config.background_evictor = budget.background_evictor;
        Pager pager{config};
        {
            ShadowModel model{pager, pager.reserve(scale.pages * page_size, {page_size}), budget.limits, seed};
            for (int i = 0; i < scale.steps && !HasFailure(); ++i) {
                model.step();
                if (i % 32 == 0) model.check_figures(!budget.background_evictor);
            }
            if (!HasFailure()) model.verify();
            model.check_figures(!budget.background_evictor);
            model.unpin_all();
            EXPECT_EQ(model.region().stats().pinned_bytes, 0U);
        }
        const PagerStats after = pager.stats();
        EXPECT_EQ(after.resident_bytes + after.staged_bytes + after.swapped_bytes + after.dirty_bytes, 0U);
    }
};

TEST_P(Model, RegionHoldsTheBytesThatAnArrayWouldHold) {
    const Watchdog watchdog;
    std::uint64_t seed = seed_of_this_run();
    RecordProperty("seed", std::to_string(seed));
    std::printf("FAULTLINE_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
    for (const Budget& budget : budgets(scale_for(GetParam().page_size).pages)) {
        if (!HasFailure()) play(budget, seed++);
    }
}

INSTANTIATE_TEST_SUITE_P(matrix, Model, ::testing::ValuesIn(whole_matrix()), VariantName{});

}  // namespace
}  // namespace faultline::test
