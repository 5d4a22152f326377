// The command line of heap_paging.
#pragma once

#include <faultline/types.hpp>

#include <cstddef>
#include <filesystem>
#include <vector>

namespace bench {

struct PagingOptions {
    std::size_t limit_bytes = std::size_t{128} << 20;
    std::vector<unsigned> factors{2, 4};  ///< Size of all objects, as multiples of the limit.
    unsigned rounds = 3;
    std::size_t lookups = 20'000;  ///< Number of lookups; there are as many replacements.
    faultline::Delivery delivery = faultline::Delivery::automatic;
    std::filesystem::path swap_directory = ".";  ///< Directory of the swap file of both systems.
    bool smoke = false;
};

/// Parses the command line. Returns an exit code if the program must end at once, else -1.
int parse(int argc, char** argv, PagingOptions& options);

}  // namespace bench
