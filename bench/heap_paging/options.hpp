// The command line of heap_paging.
#pragma once

#include <faultline/types.hpp>

#include <cstddef>
#include <filesystem>
#include <vector>

namespace bench {

struct PagingOptions {
    std::size_t limit_bytes = std::size_t{128} << 20;
    std::vector<unsigned> factors{2, 4};  ///< How many times the limit the objects take.
    unsigned rounds = 3;
    std::size_t lookups = 20'000;  ///< And as many replacements.
    faultline::Delivery delivery = faultline::Delivery::automatic;
    std::filesystem::path swap_directory = ".";  ///< Of both systems.
    bool smoke = false;
};

/// Returns an exit code when the program is to end at once, else -1.
int parse(int argc, char** argv, PagingOptions& options);

}  // namespace bench
