// The command line of policy_replay as a value. Every option's default is here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "replay/generators.hpp"
#include "replay/lackey.hpp"
#include "replay/pager_model.hpp"

namespace bench {

struct Options {
    // What is replayed: the workloads of the suites, or trace files.
    std::vector<Suite> suites{Suite::tuning, Suite::held_out, Suite::fresh};
    std::vector<std::string> workloads{};  ///< Names of workloads; empty: all.
    std::vector<std::filesystem::path> traces{};
    std::size_t references = 120'000;  ///< References of one workload.
    std::uint64_t seed = 1;            ///< Seed of the tuning suite. Those of the others are 1000 and 2000 more.

    // The policies and their memory.
    std::vector<std::string> policies{};  ///< Names of policies; empty: all.
    std::optional<std::size_t> frames{};  ///< Default: 1024 for workloads, a quarter of the pages for a trace file.
    EvictorKind evictor = EvictorKind::faulting_thread;
    FrameOfStaged frame_of_staged = FrameOfStaged::moves;
    std::size_t protected_block = 0;  ///< Pages that eviction write-protects around a victim; see PagerSettings.
    unsigned warm_up = 25;            ///< Percentage of the references that are not counted.

    // Costs in microseconds.
    double file_us = 100;
    double compressed_us = 12;
    double soft_us = 3.5;
    double unmap_us = 1;
    double protection_us = 3;

    std::filesystem::path json{};  ///< Path of a JSON file; empty: none.
    std::filesystem::path csv{};

    // Import of a trace. With it, nothing is replayed.
    std::filesystem::path import_lackey{};  ///< Path of lackey's output; "-": standard input.
    std::filesystem::path output{};
    std::size_t page_bytes = 4096;
    Instructions instructions = Instructions::leave_out;
};

/// Parses the command line. Prints help, a list or an error and ends the process if the line asks for it or is wrong.
Options parse_options(int argc, char** argv);

}  // namespace bench
