// What the command line asks for, as a value. Every option has its default here and nowhere else.
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
    std::vector<Suite> suites{Suite::tuning, Suite::held_out};
    std::vector<std::string> workloads{};  ///< Empty: all.
    std::vector<std::filesystem::path> traces{};
    std::size_t references = 120'000;  ///< Of a workload.
    std::uint64_t seed = 1;            ///< Of the tuning suite; the held-out suite's is a thousand more.

    // Under what.
    std::vector<std::string> policies{};  ///< Empty: all.
    std::optional<std::size_t> frames{};  ///< Else 1024, and a quarter of a trace file's pages.
    EvictorKind evictor = EvictorKind::faulting_thread;
    FrameOfStaged frame_of_staged = FrameOfStaged::moves;
    unsigned warm_up = 25;  ///< Percent of the references that are not counted.

    // What it costs, in microseconds.
    double file_us = 100;
    double compressed_us = 12;
    double soft_us = 3.5;
    double unmap_us = 1;

    std::filesystem::path json{};  ///< Empty: none.
    std::filesystem::path csv{};

    // Import, which is all that is done then.
    std::filesystem::path import_lackey{};  ///< "-": standard input.
    std::filesystem::path output{};
    std::uint32_t page_bytes = 4096;
    Instructions instructions = Instructions::leave_out;
};

/// Reads the command line. Prints help, a list or a complaint and ends the process where those are the answer.
Options parse_options(int argc, char** argv);

}  // namespace bench
