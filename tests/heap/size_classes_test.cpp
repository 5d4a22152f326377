// Size classes: each size gets the smallest class that holds it, and little is wasted.
#include "heap/size_classes.hpp"

#include <gtest/gtest.h>

namespace faultline::heap {
namespace {

TEST(SizeClasses, EverySizeHasTheSmallestClassThatHoldsIt) {
    for (std::size_t bytes = 1; bytes <= kMostClassBytes; bytes += bytes < 70'000 ? 1 : 61) {
        const SizeClass found = class_of(bytes);
        ASSERT_LT(found, kSizeClasses);
        ASSERT_GE(shape(found).block_bytes, bytes);
        if (found > 0) {
            ASSERT_LT(shape(static_cast<SizeClass>(found - 1)).block_bytes, bytes);
        }
    }
    EXPECT_EQ(class_of(0), class_of(1));
    EXPECT_EQ(shape(class_of(kMostClassBytes)).block_bytes, kMostClassBytes);
}

TEST(SizeClasses, ABlockIsAtMostAQuarterOrFifteenBytesLongerThanRequested) {
    for (std::size_t bytes = 1; bytes <= kMostClassBytes; bytes += bytes < 70'000 ? 1 : 61) {
        const std::size_t waste = shape(class_of(bytes)).block_bytes - bytes;
        ASSERT_LE(waste, std::max<std::size_t>(15, bytes / 4)) << bytes;
    }
}

TEST(SizeClasses, TheUnusedEndOfASpanIsLessThanASixteenthOfIt) {
    for (std::size_t i = 0; i < kSizeClasses; ++i) {
        const ClassShape& its = shape(static_cast<SizeClass>(i));
        const std::size_t span = std::size_t{its.span_pages} * core::kUnitBytes;
        EXPECT_LT(span - std::size_t{its.blocks} * its.block_bytes, span / 14) << its.block_bytes;
        EXPECT_GE(its.blocks, 8U);
        EXPECT_LE(its.cached, kMostBlocksCached);
        EXPECT_EQ(its.cached > 0, i < kCachedClasses);
    }
}

TEST(SizeClasses, TheReciprocalDividesEveryOffsetOfASpanExactly) {
    for (std::size_t i = 0; i < kSizeClasses; ++i) {
        const ClassShape& its = shape(static_cast<SizeClass>(i));
        const std::uint64_t span = std::uint64_t{its.span_pages} * core::kUnitBytes;
        for (std::uint64_t offset = 0; offset < span; offset += kGranule) {
            ASSERT_EQ(block_index(offset, its.reciprocal), offset / its.block_bytes) << its.block_bytes;
        }
    }
}

TEST(SizeClasses, AlignedClassesAreMultiplesOfTheAlignment) {
    for (std::size_t alignment = 16; alignment <= core::kUnitBytes; alignment *= 2) {
        for (std::size_t bytes = 0; bytes <= 100'000; bytes += 37) {
            const std::size_t found = class_of_aligned(bytes, alignment);
            ASSERT_LT(found, kSizeClasses);
            const ClassShape& its = shape(static_cast<SizeClass>(found));
            ASSERT_EQ(its.block_bytes % alignment, 0U);
            ASSERT_GE(its.block_bytes, bytes);
            ASSERT_LE(its.block_bytes, 2 * std::max(bytes, alignment));
        }
    }
}

}  // namespace
}  // namespace faultline::heap
