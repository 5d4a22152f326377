// What the command line asks for, as a value. Every option has its default here and nowhere else.
#pragma once

#include <cstddef>
#include <faultline/types.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "vs_kernel/mode.hpp"

namespace bench {

struct Options {
    std::size_t size = std::size_t{1} << 30;        ///< Bytes of the region.
    std::size_t resident = std::size_t{256} << 20;  ///< Bytes of it that may be in memory.
    std::vector<Mode> modes{kModes.begin(), kModes.end()};
    std::vector<std::string> peers{"swap", "mmap", "zram"};  ///< Empty: faultline alone.
    double seconds = 5.0;                                    ///< Of one round.
    double warm_up = 1.0;                                    ///< Seconds before a mode's first round, not counted.
    unsigned rounds = 3;
    unsigned threads = 1;
    std::filesystem::path swap_directory{"/var/tmp"};  ///< For the swap files of both systems and the mmap peer's file.
    std::filesystem::path json{};                      ///< Empty: no JSON.

    // Of faultline alone.
    faultline::Delivery delivery = faultline::Delivery::uffd_signal;
    faultline::Replacement replacement = faultline::Replacement::second_chance;
    faultline::Eviction eviction = faultline::Eviction::automatic;
    std::size_t page_size = faultline::kBasePageBytes;
    bool read_ahead = true;
    bool background_evictor = true;
};

/// Reads the command line. Prints help or a complaint and ends the process where those are the answer.
Options parse_options(int argc, char** argv);

}  // namespace bench
