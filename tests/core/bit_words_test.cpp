#include "core/bit_words.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace faultline::core {
namespace {

constexpr std::uint64_t kAll = ~std::uint64_t{0};

TEST(BitWords, OnesBeginAtTheFirstBit) {
    EXPECT_EQ(ones(0, 1), 1U);
    EXPECT_EQ(ones(3, 2), 0b11000U);
    EXPECT_EQ(ones(0, 64), kAll);
    EXPECT_EQ(ones(63, 1), std::uint64_t{1} << 63);
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> words_of(std::uint64_t first, std::uint64_t count) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> words;
    for_each_word(first, count, [&](std::uint64_t word, std::uint64_t mask) { words.emplace_back(word, mask); });
    return words;
}

TEST(BitWords, ARangeIsVisitedWordByWord) {
    using Words = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
    EXPECT_EQ(words_of(5, 0), Words{});
    EXPECT_EQ(words_of(62, 2), (Words{{0, ones(62, 2)}}));
    EXPECT_EQ(words_of(64, 64), (Words{{1, kAll}}));
    EXPECT_EQ(words_of(60, 70), (Words{{0, ones(60, 4)}, {1, kAll}, {2, ones(0, 2)}}));
}

TEST(BitWords, TheNextOneIsFoundInTheWordOfTheFirstBitAndInLaterWords) {
    const std::array<std::uint64_t, 3> words{0b1000, 0, std::uint64_t{1} << 5};
    const auto next = [&](std::uint64_t from, std::uint64_t end) {
        return next_one(from, end, [&](std::uint64_t word) { return words[word]; });
    };
    EXPECT_EQ(next(0, 192), 3U);
    EXPECT_EQ(next(3, 192), 3U);
    EXPECT_EQ(next(4, 192), 133U);
    EXPECT_EQ(next(134, 192), 192U) << "no bit is set";
    EXPECT_EQ(next(4, 100), 100U) << "the next bit is beyond the end";
    EXPECT_EQ(next(0, 2), 2U);
    EXPECT_EQ(next(9, 9), 9U);
}

}  // namespace
}  // namespace faultline::core
