// Page contents that compress well, or not at all, derived from a number. Pages with different numbers differ
// everywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <vector>

namespace faultline::test {

/// What a page is filled with.
struct Contents {
    enum class Kind : std::uint8_t { repetitive, textlike, random };
    static constexpr int kKinds = 3;

    Kind kind = Kind::repetitive;
    std::uint64_t number = 0;

    void fill(std::span<std::byte> page) const {
        std::mt19937_64 random{number * 2 + 1};
        const std::uint64_t constant = random();
        for (std::size_t at = 0; at < page.size(); at += sizeof(std::uint64_t)) {
            std::uint64_t word = constant;
            if (kind == Kind::textlike && at % 64 == 0) word = random();  // an eighth of it: LZ4 makes it a quarter
            if (kind == Kind::random) word = random();
            std::memcpy(page.data() + at, &word, sizeof word);
        }
    }
    [[nodiscard]] std::vector<std::byte> bytes(std::size_t size) const {
        std::vector<std::byte> page(size);
        fill(page);
        return page;
    }
};

inline Contents repetitive(std::uint64_t number) { return {Contents::Kind::repetitive, number}; }
inline Contents textlike(std::uint64_t number) { return {Contents::Kind::textlike, number}; }
inline Contents incompressible(std::uint64_t number) { return {Contents::Kind::random, number}; }

}  // namespace faultline::test
