// Tells from a program's file and its environment whether the preloaded library can enter the program. The kernel and
// the dynamic loader decide in the end. The command asks before it starts a program, the preload before exec and spawn.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace faultline::run {

/// Why the preloaded library cannot enter a program.
enum class Obstacle : std::uint64_t {
    none,                 ///< Nothing is known against it.
    statically_linked,    ///< No dynamic loader runs, so nothing is preloaded.
    other_machine,        ///< The file is not for x86-64.
    musl,                 ///< musl's loader cannot load a library that is linked with glibc.
    changes_privileges,   ///< setuid, setgid or file capabilities: the loader ignores LD_PRELOAD.
    environment_cleared,  ///< The environment that the program gets does not name the library.
};

/// Completes the sentence "PROGRAM ...": "is statically linked". Signal-safe.
[[nodiscard]] std::string_view words_of(Obstacle obstacle) noexcept;

struct ProgramCheck {
    Obstacle obstacle = Obstacle::none;
    std::array<char, 256> interpreter{};  ///< That a script names and that was looked at; empty: no script.
};

/// Whether to look for file capabilities too, which takes a system call that a program's seccomp filter may forbid.
enum class LookForCapabilities : std::uint8_t { no, yes };

/// Looks at the file, or at a script's interpreter. A file that cannot be read has no known obstacle. `path` must be in
/// memory that the kernel can read. Allocates nothing. Signal-safe.
[[nodiscard]] ProgramCheck check_program(const char* path, LookForCapabilities capabilities) noexcept;

}  // namespace faultline::run
