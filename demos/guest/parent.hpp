// The process that run_elf was called as: waits for the one that the program runs in, hands signals on to it, and
// relays how it ended.
#pragma once

#include "guest/options.hpp"
#include "guest/report_board.hpp"

#include <sys/types.h>

#include <cstdint>

namespace faultline::demo::guest {

/// From now on the signals that are handed on wait for `relay`, in this process and in the child that it forks.
class HeldSignals {
public:
    HeldSignals() noexcept;

    /// What was blocked before. Bit n - 1 is signal n.
    [[nodiscard]] std::uint64_t mask_before() const noexcept { return before_; }

private:
    std::uint64_t before_ = 0;
};

/// Waits for `child`, prints what is on the board to standard error, and returns the exit code for the shell.
[[nodiscard]] int relay(pid_t child, const ReportBoard& board);

}  // namespace faultline::demo::guest
