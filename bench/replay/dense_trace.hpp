// DenseTrace: a trace whose pages are renumbered 0, 1, 2, ... in the order of their numbers, so that models can use
// arrays indexed by page.
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

/// Renumbers a trace. Throws std::length_error for more than 2^32 - 1 pages.
[[nodiscard]] DenseTrace renumbered(const std::vector<PageReference>& references);

}  // namespace bench
