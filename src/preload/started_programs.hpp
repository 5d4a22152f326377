// Decides how the programs are started that this process starts, and tells the command which of them the preloaded
// library cannot enter: they run without a limit.
// Called before exec and spawn, also in a child of vfork.
#pragma once

#include <array>
#include <climits>

namespace faultline::preload {

/// How to start a program.
enum class Start {
    as_it_is,
    without_preload,  ///< musl's loader ends a program if it cannot load a library
    by_launcher,      ///< it is a static program: see static_program/launcher.hpp
};

struct StartedProgram {
    Start start = Start::as_it_is;
    std::array<char, PATH_MAX> path;  ///< A copy of its path; for `by_launcher` only.
};

/// Records the name that LD_PRELOAD has for this library. Called at the start.
void remember_preload_name(const char* const* environment) noexcept;

/// Checks the program that execve(2) would start, and tells the command if the library cannot enter it. Ignores null
/// pointers. Signal-safe.
void check_started_program(StartedProgram& program, const char* path, const char* const* environment) noexcept;

/// Does the same for execvp(3), which searches $PATH for a name without a slash. Signal-safe.
void check_started_program_in_path(StartedProgram& program, const char* file, const char* const* environment) noexcept;

/// Removes LD_PRELOAD from a list of variables. Needed for musl's loader, which ends a program if it cannot load a
/// library. Signal-safe.
void drop_preload(char** environment) noexcept;

}  // namespace faultline::preload
