// Writes the program's figures to the status file of `faultline run`. A thread of the library writes them twice a
// second. They are written once more when the program ends or calls exec.
// The file's protocol is in run/status_layout.hpp. Called at the start, around fork, exec and changes of ids, and by
// _exit.
#pragma once

#include "heap/heap.hpp"
#include "run/settings.hpp"
#include "run/unmanaged_program.hpp"

#include <string_view>

namespace faultline::preload {

/// Starts the thread. Does nothing if no status file is named or if it cannot be opened, and there is no limit of all
/// memory. The same thread holds the process to that limit (run::MemoryKeeper); `say` prints a line for it.
void start_status(heap::Heap& heap, const run::Settings& settings, void (*say)(std::string_view));

/// Ends the thread, and starts it again. The next sample makes up for those that were left out.
void stop_status() noexcept;
void start_status_again() noexcept;

/// In a child of fork that reports nothing more.
void forget_status() noexcept;

/// Starts the thread in the child of a fork, which takes a slot of its own and counts from here.
void start_status_in_child() noexcept;

/// Writes a last sample before _exit or exec, which run no exit handlers. Waits briefly at most, takes no lock,
/// allocates nothing. Does nothing in a child of vfork. Signal-safe.
void publish_status_before_end() noexcept;

/// Tells the command about a program that is started without the library. Does nothing if no status file is open. Any
/// thread may call it, also in a child of vfork. Signal-safe.
void note_unmanaged(const run::UnmanagedProgram& program) noexcept;

}  // namespace faultline::preload
