// Configuration: the random settings of one round of the soak. text() prints them in one line.
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

/// Returns those that this kernel and user permit.
[[nodiscard]] std::vector<Mechanism> usable_mechanisms();

struct Configuration {
    Mechanism mechanism{};
    Replacement replacement = Replacement::second_chance;
    std::size_t page_size = kBasePageBytes;  ///< Bytes; the largest page size of the round's regions.
    std::size_t pages = 0;                   ///< Pages of that size in all lasting regions together.
    std::size_t least_limit = 0;             ///< In pages of that size: the smallest resident limit.
    std::size_t most_limit = 0;              ///< The largest one.
    std::size_t compressed_limit = 0;        ///< Bytes; 0: no compression.
    unsigned regions = 1;
    unsigned threads = 1;
    unsigned handler_threads = 0;
    bool read_ahead = true;
    bool background_evictor = true;
    bool limit_moves = true;
    bool forks = true;
    /// Children of fork inherit managed memory and check it; else an access to it must end them with SIGSEGV.
    bool children_inherit = false;
    bool heap = false;                  ///< Each thread also keeps a hash table in a heap.
    bool clears_accessed_bits = false;  ///< A thread clears the pages' accessed bits, as memory reclaim does.
    std::uint64_t seed = 0;

    [[nodiscard]] std::size_t most_limit_bytes() const noexcept { return most_limit * page_size; }
    [[nodiscard]] Config config() const;
    [[nodiscard]] std::string text() const;
};

[[nodiscard]] Configuration random_configuration(const std::vector<Mechanism>& mechanisms, std::uint64_t seed);

}  // namespace faultline::soak
