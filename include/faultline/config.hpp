// Every option of a pager with its default, unit and meaning. A value: copy it, change it, hand it to `Pager`.
// Options of a single region are in region.hpp (`RegionOptions`).
#pragma once

#include <faultline/language.hpp>

#include <faultline/types.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string_view>

namespace faultline {

struct Config {
    /// Bytes of physical memory that all regions of the pager may hold together, staged pages included. Rounded down
    /// to 4 KiB. At least `Pager::kMinimumPages` pages of the largest page size in use.
    std::size_t resident_limit = std::size_t{256} << 20;

    /// Directory of the unnamed swap file (mode 0600, gone when the pager is). Empty: $TMPDIR, else /var/tmp. The file
    /// takes space for what is in it; where pages go to it one by one, by the MiB, once 16 of a MiB's pages are there.
    std::filesystem::path swap_directory{};

    /// Swap to this file instead: created 0600, must not exist yet, and is unlinked at once. Overrides
    /// `swap_directory`.
    std::filesystem::path swap_file{};

    /// Bytes of memory, besides `resident_limit`, for evicted pages that LZ4 makes small (under 3,000 of 4,096 bytes),
    /// in front of the swap file; the oldest go on to it. Checksums are verified when pages come back: EIO, never wrong
    /// bytes. Rounded down to 64 KiB; 0: none. Buffers for compressing take up to 3 MiB more.
    std::size_t compressed_limit = 0;

    /// How faults arrive.
    Delivery delivery = Delivery::automatic;

    /// Handler threads of `Delivery::uffd_threads`, each pinned to one CPU; 0: one for each CPU the process may use.
    unsigned handler_threads = 0;

    /// Keep a background thread that evicts before frames run out: it keeps up to a 50th of the limit free, but no more
    /// than there are pages that do not fit. Without it the faulting threads evict.
    bool background_evictor = true;

    /// How pages leave the program's view.
    Eviction eviction = Eviction::automatic;

    /// Which pages leave.
    Replacement replacement = Replacement::second_chance;

    /// Percent of the resident limit, at most 50, in pages that have left the program's view and whose frames are kept
    /// a little longer: a page that is wanted back meanwhile comes without a read. It costs a system call and an
    /// interrupt of the program's CPUs for each scattered page, where clean pages are dropped by the hundred: it pays
    /// where a read takes milliseconds (a disk that turns, a network), not in front of a solid-state disk or compressed
    /// memory. `Replacement::fifo` keeps none.
    unsigned staging_percent = 0;

    /// Read neighbours ahead when a thread walks through stored pages in order. Where it writes to them, they count as
    /// written to before it gets there: at the end of a walk, up to one window of at most 1 MiB is written back for
    /// nothing.
    bool read_ahead = true;

    /// How long a fault waits for room on a full swap disk before the program sees SIGBUS.
    std::chrono::milliseconds full_disk_patience{2000};

    /// Record the faults that the pager resolves to this file, created or replaced, as a page trace that policy_replay
    /// reads (docs/trace-format.md). Costs a fault some 50 ns, a thread, and 2 MiB. Whole once the pager has gone; a
    /// child of fork does not go on with it. Empty: nothing is recorded.
    std::filesystem::path trace_file{};

    /// What a child of fork has of the pager. With `inherit`, when the swap files for both cannot be had or do not take
    /// what is dirty, that one child is refused, and a message says so.
    ForkPolicy fork = ForkPolicy::refuse;

    /// Receives messages of the pager. Called from the pager's own threads and from set-up calls, never from a fault;
    /// must not touch managed memory. Empty: standard error through spdlog, warnings and errors only.
    std::function<void(LogLevel, std::string_view)> log{};
};

}  // namespace faultline
