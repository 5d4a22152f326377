// DenseTrace: a trace with its pages renumbered 0, 1, 2, ... in the order of their numbers, so that models keep what
// they know of pages in arrays.
#pragma once

#include "replay/reference.hpp"

#include <cstdint>
#include <vector>

namespace bench {

using PageIndex = std::uint32_t;

struct DenseTrace {
    struct Reference {
        PageIndex page;
        bool write;
    };
    std::vector<Reference> references;
    PageIndex pages = 0;
};

/// Throws std::length_error for a trace of more than 2^32 - 1 pages.
[[nodiscard]] DenseTrace renumbered(const std::vector<PageReference>& references);

}  // namespace bench
