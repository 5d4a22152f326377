// The command line of guarded_stacks.
#pragma once

#include <faultline/types.hpp>

#include <cstddef>
#include <filesystem>

namespace bench {

struct StackOptions {
    std::size_t fibers = 100'000;
    std::size_t stack_bytes = std::size_t{64} << 10;
    std::size_t used_bytes = 6000;  ///< Bytes of its stack in which each fiber keeps values.
    std::size_t limit_bytes = std::size_t{256} << 20;
    std::size_t compressed_bytes = 0;
    std::size_t rounds = 2;  ///< How often each fiber is resumed after its first suspension.
    std::size_t repetitions = 20'000;
    faultline::Delivery delivery = faultline::Delivery::automatic;
    std::filesystem::path swap_directory;
};

/// Parses the command line. Returns an exit code if the program must end at once, else -1.
int parse(int argc, char** argv, StackOptions& options);

}  // namespace bench
