// Which process is meant: a number alone is used again. No libc state, no allocation: asked inside a program's malloc
// and in the child of a fork.
#pragma once

#include <array>
#include <cstdint>

namespace faultline::run {

struct ProcessIdentity {
    std::uint64_t pid = 0;
    std::uint64_t parent_pid = 0;
    std::uint64_t start_ticks = 0;  ///< From the machine's start, in clock ticks; the same before and after exec.
    std::array<char, 16> name{};    ///< Of the program, as /proc/PID/comm has it: 15 bytes, ended by zeros.
};

/// Of the process `pid`; all zero where there is none, or none that one may look at. Signal-safe.
[[nodiscard]] ProcessIdentity identify_process(std::uint64_t pid) noexcept;

/// Of the calling process. Where /proc is not to be had, only the numbers. Signal-safe.
[[nodiscard]] ProcessIdentity identify_this_process() noexcept;

/// Of the calling process; asks the kernel, since a child of vfork or clone has a number of its own. Signal-safe.
[[nodiscard]] std::uint64_t this_pid() noexcept;

/// Whether the process lives: not a zombie, and not another of the same number. Signal-safe.
[[nodiscard]] bool is_running(std::uint64_t pid, std::uint64_t start_ticks) noexcept;

}  // namespace faultline::run
