// Tells the status file of `faultline run` how the program is doing: a thread of the library's, twice a second, and
// once more when the program ends or calls exec.
#pragma once

#include "heap/heap.hpp"
#include "run/settings.hpp"
#include "run/unmanaged_program.hpp"

namespace faultline::preload {

/// Does nothing where no status file is named, or where it cannot be had.
void start_status(heap::Heap& heap, const run::Settings& settings);

/// Ends the thread, and starts it again: what it does not say meanwhile, it says then.
void stop_status() noexcept;
void start_status_again() noexcept;

/// In the child of a fork, which has a slot of its own, and counts from here.
void start_status_in_child() noexcept;

/// Before what may be the program's last instruction, and runs nothing that it has said to run at exit: _exit, exec.
/// Waits a moment at most, takes no lock, allocates nothing. Nothing happens in a child of vfork. Signal-safe.
void publish_status_before_end() noexcept;

/// Tells the command of a program that is started without the library; nothing where no status file is open. For any
/// thread, also in a child of vfork. Signal-safe.
void note_unmanaged(const run::UnmanagedProgram& program) noexcept;

/// Whether `note_unmanaged` reaches the command. Signal-safe.
[[nodiscard]] bool notes_unmanaged() noexcept;

}  // namespace faultline::preload
