// Arithmetic on sets of bits that are stored in words of 64 bits. It holds no words: the callers load and change them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace faultline::core {

inline constexpr std::uint64_t kBitsPerWord = 64;

/// Returns `count` ones (1 to 64) from bit `first` on.
constexpr std::uint64_t ones(std::uint64_t first, std::uint64_t count) noexcept {
    return (~std::uint64_t{0} >> (kBitsPerWord - count)) << first;
}

/// Calls `visit(word, mask)` for each word that has bits of [first, first + count), in order. `mask` has these bits.
template <typename Visit>
constexpr void for_each_word(std::uint64_t first, std::uint64_t count, Visit visit) noexcept {
    const std::uint64_t end = first + count;
    for (std::uint64_t bit = first; bit < end;) {
        const std::uint64_t in_word = bit % kBitsPerWord;
        const std::uint64_t bits = std::min(kBitsPerWord - in_word, end - bit);
        visit(bit / kBitsPerWord, ones(in_word, bits));
        bit += bits;
    }
}

/// Returns the first bit in [from, end) that is set, or `end`. `load(word)` returns a word.
template <typename Load>
constexpr std::uint64_t next_one(std::uint64_t from, std::uint64_t end, Load load) noexcept {
    while (from < end) {
        const std::uint64_t rest = load(from / kBitsPerWord) >> (from % kBitsPerWord);
        if (rest != 0) return std::min(from + static_cast<std::uint64_t>(std::countr_zero(rest)), end);
        from = (from / kBitsPerWord + 1) * kBitsPerWord;
    }
    return end;
}

}  // namespace faultline::core
