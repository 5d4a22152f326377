// What one round of the soak runs with: a value, chosen at random, that says itself in one line.
#pragma once

#include "soak/random.hpp"

#include <faultline/faultline.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace faultline::soak {

/// A delivery with one of its evictions.
struct Mechanism {
    Delivery delivery;
    Eviction eviction;
};

/// Those that this kernel and user allow.
[[nodiscard]] std::vector<Mechanism> usable_mechanisms();

struct Configuration {
    Mechanism mechanism{};
    Replacement replacement = Replacement::second_chance;
    std::size_t page_size = kBasePageBytes;  ///< The largest of the round's regions, in bytes.
    std::size_t pages = 0;                   ///< Of that size, in all standing regions together.
    std::size_t least_limit = 0;             ///< In pages of that size; the limit moves between these two.
    std::size_t most_limit = 0;
    std::size_t compressed_limit = 0;  ///< In bytes; 0: none.
    unsigned regions = 1;
    unsigned threads = 1;
    unsigned handler_threads = 0;
    bool read_ahead = true;
    bool background_evictor = true;
    bool limit_moves = true;
    bool forks = true;
    /// Children of fork have a copy of managed memory, and check it; else touching it must end them with SIGSEGV.
    bool children_inherit = false;
    bool heap = false;                  ///< The threads also keep hash tables in a heap, each its own.
    bool clears_accessed_bits = false;  ///< A thread does to the pages what memory reclaim does.
    std::uint64_t seed = 0;

    [[nodiscard]] std::size_t most_limit_bytes() const noexcept { return most_limit * page_size; }
    [[nodiscard]] Config config() const;
    [[nodiscard]] std::string text() const;
};

[[nodiscard]] Configuration random_configuration(const std::vector<Mechanism>& mechanisms, std::uint64_t seed);

}  // namespace faultline::soak
