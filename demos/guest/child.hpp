// The process that the program runs in: makes pager and address space, lays the program out in it, runs it, and
// reports.
#pragma once

#include "elf/program_file.hpp"
#include "guest/options.hpp"
#include "guest/report_board.hpp"

#include <cstdint>

namespace faultline::demo::guest {

/// A program, open and read.
struct OpenProgram {
    int descriptor = -1;
    elf::ProgramFile file;
};

/// Returns when the program has ended and the board is written. `mask` is the signals that the program has blocked when
/// it begins. Throws NotPermitted, std::system_error, std::invalid_argument.
void run_in_this_process(const Options& options, const OpenProgram& program, std::uint64_t mask, ReportBoard& board);

}  // namespace faultline::demo::guest
