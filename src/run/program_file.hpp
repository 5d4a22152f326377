// Tells from a program's file and environment whether the preloaded library can enter the program.
// A forecast: the kernel and the dynamic loader decide. The command calls it before it starts a program, the preload
// before exec and spawn.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace faultline::run {

/// Why the preloaded library cannot enter a program.
enum class Obstacle : std::uint64_t {
    none,                 ///< No obstacle is known.
    statically_linked,    ///< No dynamic loader runs, so nothing is preloaded.
    other_machine,        ///< The file is not for x86-64.
    musl,                 ///< musl's loader cannot load a library that is linked with glibc.
    changes_privileges,   ///< setuid, setgid or file capabilities: the loader ignores LD_PRELOAD.
    environment_cleared,  ///< The environment of the program does not name the library.
};

/// Returns the end of the sentence "PROGRAM ...": "is statically linked". Signal-safe.
[[nodiscard]] std::string_view words_of(Obstacle obstacle) noexcept;

struct ProgramCheck {
    Obstacle obstacle = Obstacle::none;
    std::array<char, 256> interpreter{};  ///< The interpreter of a script, which was checked in place of the script;
                                          ///< empty: the file is no script.
};

/// Whether to check file capabilities, too. That takes a system call that a program's seccomp filter may forbid.
enum class LookForCapabilities : std::uint8_t { no, yes };

/// Checks the file, or a script's interpreter. A file that cannot be read has no known obstacle. The kernel must be
/// able to read `path` (it must not be managed memory). Allocates nothing. Signal-safe.
[[nodiscard]] ProgramCheck check_program(const char* path, LookForCapabilities capabilities) noexcept;

}  // namespace faultline::run
