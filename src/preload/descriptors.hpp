// Keeps the library's descriptors out of the program's way: at high numbers, and safe from the program's close calls.
// Programs rely on the lowest free number, use small numbers by name, and close descriptors that they did not open. The
// list of the library's descriptors is in sys/own_descriptors.hpp.
//
// A descriptor that the library opens has the lowest free number for a moment, before it moves up. No code of the
// program that expects this number may run meanwhile. Files are opened after the start by
//
//   sys/file_reader, sys/separate_thread   in a descriptor table of its own
//   sys/page_merging                       at the start, and in a child before its code runs; else when merging starts
//   pager/snapshot                         in the program's call of fork, and in the child before its code runs
//   pager/delivery/pager_threads           in a child's first fault that needs them: its thread waits (PutOffStart)
//   preload/credentials                    in the program's call of setuid and its family
//   run/program_file                       in the program's call of exec or spawn
//
// What is opened in a call can take a number only from another thread of the program. No system call opens a file at a
// given number. SECCOMP_IOCTL_NOTIF_ADDFD can place one, but a filter on a thread of the library would make filters of
// the program fail (SECCOMP_FILTER_FLAG_TSYNC).
#pragma once

#include "preload/credentials.hpp"
#include "sys/own_descriptors.hpp"

#include <climits>
#include <cstdint>

namespace faultline::preload {

/// Makes the library open its descriptors at the highest numbers below 1,024 that the program may open. If the program
/// may open fewer than 96 files, they stay among the program's.
void place_descriptors_high() noexcept;

/// Takes the number as a register holds it: the kernel reads only 32 bits.
[[nodiscard]] inline bool is_own_descriptor(std::uint64_t fd) noexcept {
    return sys::is_own_descriptor(static_cast<unsigned>(fd & UINT_MAX));
}

/// Does what close_range(2) does, but skips the library's own descriptors. Returns 0 or a negated errno. Signal-safe.
[[nodiscard]] long close_range_around_own(unsigned first, unsigned last, unsigned flags) noexcept;

/// The same for a call of the program. After CLOSE_RANGE_UNSHARE the library's threads have the calling thread's new
/// table of descriptors: they end before it and start again. Not signal-safe then.
[[nodiscard]] long close_range_of_program(unsigned first, unsigned last, unsigned flags, CallFrom from) noexcept;

}  // namespace faultline::preload
