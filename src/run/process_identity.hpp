// Identifies a process. A number alone is not enough, because the kernel reuses it.
// Uses no libc state and allocates nothing: the preload calls this inside malloc and in the child of a fork.
#pragma once

#include <array>
#include <cstdint>

namespace faultline::run {

struct ProcessIdentity {
    std::uint64_t pid = 0;
    std::uint64_t parent_pid = 0;
    std::uint64_t start_ticks = 0;  ///< Clock ticks from the start of the machine; exec does not change it.
    std::array<char, 16> name{};    ///< The program's name as in /proc/PID/comm: 15 bytes, ended by zeros.
};

/// Identifies the process `pid`. Returns zeros if there is no such process or if it may not be inspected. Signal-safe.
[[nodiscard]] ProcessIdentity identify_process(std::uint64_t pid) noexcept;

/// Identifies the calling process. Returns only the numbers if /proc is not available. Signal-safe.
[[nodiscard]] ProcessIdentity identify_this_process() noexcept;

/// Returns the calling process's number. Asks the kernel, because a child of vfork or clone has its own. Signal-safe.
[[nodiscard]] std::uint64_t this_pid() noexcept;

/// Returns true if the process lives: it is not a zombie, and not a later process with the same number. Signal-safe.
[[nodiscard]] bool is_running(std::uint64_t pid, std::uint64_t start_ticks) noexcept;

}  // namespace faultline::run
