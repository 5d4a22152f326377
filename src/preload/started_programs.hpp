// Tells the command which programs this process starts that the preloaded library cannot enter: they run without a
// limit.
// Called before exec and spawn, also in a child of vfork. A program that is started by a bare system call is not
// noticed.
#pragma once

#include "run/program_file.hpp"

namespace faultline::preload {

/// Records the name that LD_PRELOAD has for this library. Called at the start.
void remember_preload_name(const char* const* environment) noexcept;

/// Checks the program that execve(2) would start. Returns why the library cannot enter it, if the command is to be
/// told. Ignores null pointers. Signal-safe.
run::Obstacle note_started_program(const char* path, const char* const* environment) noexcept;

/// Does the same for execvp(3), which searches $PATH for a name without a slash. Signal-safe.
run::Obstacle note_started_program_in_path(const char* file, const char* const* environment) noexcept;

/// Removes LD_PRELOAD from a list of variables. Needed for musl's loader, which ends a program if it cannot load a
/// library. Signal-safe.
void drop_preload(char** environment) noexcept;

}  // namespace faultline::preload
