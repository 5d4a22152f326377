// The names of enumerators in options, messages and JSON. Programs parse them, so they are part of the interface.
#include <faultline/access_violation.hpp>
#include <faultline/segment_info.hpp>
#include <faultline/types.hpp>

#include "core/units.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>

namespace faultline::test {
namespace {

TEST(Names, OfTheEnumerationsInOptions) {
    EXPECT_STREQ(to_string(Delivery::automatic), "automatic");
    EXPECT_STREQ(to_string(Delivery::uffd_threads), "uffd_threads");
    EXPECT_STREQ(to_string(Delivery::uffd_signal), "uffd_signal");
    EXPECT_STREQ(to_string(Delivery::sigsegv), "sigsegv");
    EXPECT_STREQ(to_string(Eviction::move), "move");
    EXPECT_STREQ(to_string(Eviction::protect), "protect");
    EXPECT_STREQ(to_string(Replacement::second_chance), "second_chance");
    EXPECT_STREQ(to_string(Replacement::fifo), "fifo");
    EXPECT_STREQ(to_string(ForkPolicy::inherit), "inherit");
}

TEST(Names, ValueZeroIsTheDefault) {
    EXPECT_EQ(Delivery{}, Delivery::automatic);
    EXPECT_EQ(Eviction{}, Eviction::automatic);
    EXPECT_EQ(Replacement{}, Replacement::second_chance);
    EXPECT_EQ(ForkPolicy{}, ForkPolicy::refuse);
    EXPECT_EQ(Advice{}, Advice::normal);
}

template <typename Enum>
class EveryEnumeration : public ::testing::Test {};
using Enumerations = ::testing::Types<Delivery, Eviction, Replacement, ForkPolicy, Access, PinFor, Advice, LogLevel,
                                      Attempt, ViolationKind, ViolationAnswer, SegmentKind>;
TYPED_TEST_SUITE(EveryEnumeration, Enumerations);

TYPED_TEST(EveryEnumeration, ParsesEachOfItsNamesAndNoOther) {
    std::set<std::string> seen;
    for (std::size_t value = 0; value < names<TypeParam>().size(); ++value) {
        const std::string text = to_string(static_cast<TypeParam>(value));
        EXPECT_TRUE(seen.insert(text).second) << text << " names two values";
        EXPECT_EQ(parse<TypeParam>(text), static_cast<TypeParam>(value)) << text;
        EXPECT_EQ(parse<TypeParam>(text + "x"), std::nullopt);
        EXPECT_EQ(parse<TypeParam>(text.substr(1)), std::nullopt);
    }
    for (const char* const text : {"", "unknown", "0"}) EXPECT_EQ(parse<TypeParam>(text), std::nullopt) << text;
}

TYPED_TEST(EveryEnumeration, NamesNumbersWithoutAValueUnknown) {
    const auto count = static_cast<std::uint8_t>(names<TypeParam>().size());
    EXPECT_STREQ(to_string(static_cast<TypeParam>(count)), "unknown");
    EXPECT_STREQ(to_string(static_cast<TypeParam>(std::numeric_limits<std::uint8_t>::max())), "unknown");
}

TEST(Units, AlignToTheNearestMultiple) {
    constexpr std::uint64_t kUnit = core::kUnitBytes;
    for (std::uint64_t base : {std::uint64_t{0}, 7 * kUnit, std::uint64_t{1} << 46}) {
        EXPECT_EQ(core::align_down(base, kUnit), base);
        EXPECT_EQ(core::align_up(base, kUnit), base);
        EXPECT_EQ(core::align_down(base + 1, kUnit), base);
        EXPECT_EQ(core::align_up(base + 1, kUnit), base + kUnit);
        EXPECT_EQ(core::align_down(base + kUnit - 1, kUnit), base);
        EXPECT_EQ(core::align_up(base + kUnit - 1, kUnit), base + kUnit);
    }
}

}  // namespace
}  // namespace faultline::test
