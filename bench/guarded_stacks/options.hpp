// The command line of guarded_stacks.
#pragma once

#include <faultline/types.hpp>

#include <cstddef>
#include <filesystem>

namespace bench {

struct StackOptions {
    std::size_t fibers = 100'000;
    std::size_t stack_bytes = std::size_t{64} << 10;
    std::size_t used_bytes = 6000;  ///< That each fiber keeps values in.
    std::size_t limit_bytes = std::size_t{256} << 20;
    std::size_t compressed_bytes = 0;
    std::size_t rounds = 2;  ///< How often each fiber is resumed after its first sleep.
    std::size_t repetitions = 20'000;
    faultline::Delivery delivery = faultline::Delivery::automatic;
    std::filesystem::path swap_directory;
};

/// Returns an exit code when the program is to end at once, else -1.
int parse(int argc, char** argv, StackOptions& options);

}  // namespace bench
