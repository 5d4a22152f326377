// The process that the shell started as run_elf: waits for the child in which the program runs, forwards signals to it,
// and returns its exit code.
#pragma once

#include "guest/options.hpp"
#include "guest/report_board.hpp"

#include <sys/types.h>

#include <cstdint>

namespace faultline::demo::guest {

/// Blocks the forwarded signals, in this process and in the child that it forks, until `relay` takes them.
class HeldSignals {
public:
    HeldSignals() noexcept;

    /// Returns the previous mask. Bit n - 1 is signal n.
    [[nodiscard]] std::uint64_t mask_before() const noexcept { return before_; }

private:
    std::uint64_t before_ = 0;
};

/// Waits for `child`, prints the board's report to standard error, and returns the exit code for the shell.
[[nodiscard]] int relay(pid_t child, const ReportBoard& board);

}  // namespace faultline::demo::guest
