// The process in which the program runs: makes the pager and the address space, maps the program, runs it, and writes
// the report. run_elf forks it; parent.hpp is the other process.
#pragma once

#include "elf/program_file.hpp"
#include "guest/options.hpp"
#include "guest/report_board.hpp"

#include <cstdint>

namespace faultline::demo::guest {

/// An open program and its headers.
struct OpenProgram {
    int descriptor = -1;
    elf::ProgramFile file;
};

/// Runs the program. Returns when it has ended and the board is written. `mask`: the signals that the program has
/// blocked at its begin. Throws NotPermitted, std::system_error, std::invalid_argument.
void run_in_this_process(const Options& options, const OpenProgram& program, std::uint64_t mask, ReportBoard& board);

}  // namespace faultline::demo::guest
