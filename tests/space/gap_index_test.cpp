// GapIndex: finds the smallest gap that fits, whatever was taken and given before.
#include "space/gap_index.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <random>

namespace faultline::space {
namespace {

using core::AddressRange;

TEST(GapIndex, FindsTheSmallestGapAndOfEqualOnesTheHighest) {
    GapIndex gaps{{0, 1000}};
    EXPECT_EQ(gaps.smallest(1000), (AddressRange{0, 1000}));
    EXPECT_EQ(gaps.smallest(1001), std::nullopt);
    gaps.take({100, 200});
    gaps.take({210, 300});
    gaps.take({310, 400});
    gaps.take({430, 500});
    EXPECT_EQ(gaps.smallest(1), (AddressRange{300, 310}));
    EXPECT_EQ(gaps.smallest(11), (AddressRange{400, 430}));
    EXPECT_EQ(gaps.smallest(31), (AddressRange{0, 100}));
    EXPECT_EQ(gaps.smallest(101), (AddressRange{500, 1000}));
}

TEST(GapIndex, GapsThatTouchBecomeOne) {
    GapIndex gaps{{0, 100}};
    gaps.take({0, 100});
    EXPECT_EQ(gaps.size(), 0U);
    gaps.give({0, 10});
    gaps.give({20, 30});
    EXPECT_EQ(gaps.size(), 2U);
    gaps.give({10, 20});
    EXPECT_EQ(gaps.size(), 1U);
    EXPECT_EQ(gaps.smallest(1), (AddressRange{0, 30}));
    gaps.give({5, 50});
    EXPECT_EQ(gaps.smallest(1), (AddressRange{0, 50}));
}

TEST(GapIndex, AgreesWithAnArrayOfFreeUnits) {
    const std::uint32_t seed = std::random_device{}();
    RecordProperty("seed", std::to_string(seed));
    std::mt19937 random{seed};
    constexpr std::size_t kUnits = 200;
    std::array<bool, kUnits> free{};
    free.fill(true);
    GapIndex gaps{{0, kUnits}};
    const auto expected = [&](std::size_t bytes) {
        std::optional<AddressRange> best;
        for (std::size_t begin = 0; begin < kUnits;) {
            std::size_t end = begin;
            while (end < kUnits && free[end]) ++end;
            const AddressRange gap{begin, end};
            if (gap.bytes() >= bytes && (!best || gap.bytes() <= best->bytes())) best = gap;
            begin = end + 1;
        }
        return best;
    };
    for (int step = 0; step < 5000; ++step) {
        const std::size_t begin = random() % kUnits;
        const std::size_t end = std::min<std::size_t>(kUnits, begin + 1 + random() % 20);
        const bool gives = random() % 2 == 0;
        gives ? gaps.give({begin, end}) : gaps.take({begin, end});
        std::fill(free.begin() + static_cast<std::ptrdiff_t>(begin), free.begin() + static_cast<std::ptrdiff_t>(end),
                  gives);
        const std::size_t bytes = 1 + random() % 12;
        ASSERT_EQ(gaps.smallest(bytes), expected(bytes)) << "seed " << seed << " step " << step << " bytes " << bytes;
    }
}

}  // namespace
}  // namespace faultline::space
