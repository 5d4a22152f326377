// Tells the command which programs this process starts that the preloaded library cannot enter: they run without a
// limit. Called before exec and spawn, also in a child of vfork. What a program starts by a bare system call is not
// seen.
#pragma once

#include "run/program_file.hpp"

namespace faultline::preload {

/// Remembers by which name LD_PRELOAD has this library. At start.
void remember_preload_name(const char* const* environment) noexcept;

/// Looks at the program that execve(2) would start. Returns what keeps the library out of it, as far as the command
/// wants to know. Null pointers are ignored. Signal-safe.
run::Obstacle note_started_program(const char* path, const char* const* environment) noexcept;

/// The same for execvp(3), which searches $PATH for a name without a slash. Signal-safe.
run::Obstacle note_started_program_in_path(const char* file, const char* const* environment) noexcept;

/// Takes LD_PRELOAD out of a list of variables: for musl's loader, which ends a program where it cannot load a library.
/// Signal-safe.
void drop_preload(char** environment) noexcept;

}  // namespace faultline::preload
