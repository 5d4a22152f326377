// Config: every option of a pager with its default, unit and meaning. It is not the options of one region: region.hpp
// has those (`RegionOptions`). Callers fill in a Config and pass it to the constructor of `Pager`, which checks it.
#pragma once

#include <faultline/language.hpp>

#include <faultline/replacement_policy.hpp>
#include <faultline/store.hpp>
#include <faultline/types.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>

namespace faultline {
inline namespace v0 {

/// The options of a pager. A plain value: copy it, change it, pass it to `Pager`, which keeps a copy. The constructor
/// of `Pager` checks the values and throws EINVAL for one out of range; the struct itself checks nothing.
///
///     faultline::Config config;
///     config.resident_limit = std::size_t{64} << 20;  // 64 MiB
///     config.swap_directory = "/var/tmp";
///     faultline::Pager pager{config};
struct Config {
    /// Limit in bytes of the physical memory that all regions of the pager hold together, staged pages included.
    /// Rounded down to 4 KiB. At least `Pager::kMinimumPages` pages of the largest page size in use. A limit above the
    /// machine's memory is lowered to that, with a warning.
    std::size_t resident_limit = std::size_t{256} << 20;

    /// Directory of the unnamed swap file (mode 0600), which disappears with the pager. Empty: $TMPDIR, else /var/tmp.
    /// The file takes disk space for the pages it holds, 2 MiB at a time, and keeps the space of freed pages for later
    /// ones: at most 32 MiB, or half of the pages it holds. A checksum of each page is verified when it is read back:
    /// the error is EIO, never wrong bytes.
    std::filesystem::path swap_directory{};

    /// Path of the swap file; overrides `swap_directory`. The file must not exist. The pager creates it with mode 0600
    /// and unlinks it at once.
    std::filesystem::path swap_file{};

    /// A store of the program's own, in place of a swap file; `swap_directory` and `swap_file` are not used then. Pages
    /// are read ahead only a few at a time, and `fork` must be ForkPolicy::refuse (EINVAL). Null: a swap file.
    std::shared_ptr<Store> store{};

    /// Limit in bytes of memory for compressed pages, in addition to `resident_limit`. Evicted pages that LZ4
    /// compresses from 4,096 to less than 3,000 bytes stay there; the oldest move on to the swap file. 0: no
    /// compression; else at least 256 KiB, rounded down to 64 KiB, and lowered to the machine's memory with a warning
    /// if it is above. Buffers for compression take up to 3 MiB more.
    std::size_t compressed_limit = 0;

    /// Limit in bytes of all memory that the pager takes: of frames, compressed pages, and the pager's records of
    /// pages (a page's word, its location, buffers; not the stacks of its threads). The pager divides it by itself, and
    /// changes the division while the program runs: compressed pages get more where pages compress well and disk reads
    /// are dear, and nothing to speak of where pages do not compress (docs/decisions/022). 0: `resident_limit` and
    /// `compressed_limit` hold instead. Else `resident_limit` is not used, `compressed_limit` must be 0, and the limit
    /// is at least 256 KiB, lowered to the machine's memory with a warning. Below 4 MiB no pages are compressed. Frames
    /// have a sixteenth of the limit, and at least `Pager::kMinimumPages` pages, even if the records take all of it.
    std::size_t memory_limit = 0;

    /// How faults arrive.
    Delivery delivery = Delivery::automatic;

    /// Number of handler threads of `Delivery::uffd_threads`, each pinned to one CPU. At most 4096. 0: one for each
    /// CPU that the process may use.
    unsigned handler_threads = 0;

    /// Runs a background thread that evicts before frames run out. It keeps at most 1/50 of the limit free, and not
    /// more than the number of pages that do not fit. False: the faulting threads evict.
    bool background_evictor = true;

    /// How the pager takes pages away from the program.
    Eviction eviction = Eviction::automatic;

    /// Which pages the pager evicts: a built-in policy. Not used if there is a `policy`.
    Replacement replacement = Replacement::second_chance;

    /// Makes a replacement policy of the program's own; the pager owns it. Empty: `replacement`. The constructor of
    /// `Pager` passes on what the function throws, and throws EINVAL if it returns null.
    PolicyFactory policy{};

    /// Percentage of the resident limit, 0 to 50, for staged pages: pages that are unmapped and keep their frame for a
    /// while. A fault on a staged page needs no read. Staging costs a system call and an interrupt of the program's
    /// CPUs for each scattered page; without it, clean pages are dropped in batches of hundreds. It pays where a read
    /// takes milliseconds (a hard disk, a network), not with a solid-state disk or compressed memory.
    /// `Replacement::fifo` stages no pages.
    unsigned staging_percent = 0;

    /// Reads neighbouring pages ahead when a thread accesses stored pages in order. Where the thread writes to them,
    /// the pages read ahead count as written before the thread reaches them. At the end of such a walk, up to one
    /// window of at most 1 MiB is written back without need.
    bool read_ahead = true;

    /// How long a fault waits for space on a full swap disk before the program gets SIGBUS: 0 to one
    /// year.
    std::chrono::milliseconds full_disk_patience{2000};

    /// Path of a file that records the faults that the pager resolves, as a page trace for policy_replay
    /// (docs/trace-format.md). The pager creates or replaces it. Recording costs about 50 ns per fault, one thread and
    /// 2 MiB. The file is complete once the pager is destroyed. A child of fork does not record. Empty: no recording.
    std::filesystem::path trace_file{};

    /// Path of a file to which the pager appends samples of the call stacks that fault, for `faultline report`
    /// (docs/record-format.md). Made if it does not exist, readable for its owner only; remove it before another run.
    /// Children of fork with ForkPolicy::inherit append to it, too. Only faults that come as signals have stacks:
    /// `Delivery::automatic` never chooses uffd_threads then, and EINVAL refuses it. Costs about 0.1 us a fault, 5 us a
    /// sample, one thread and up to 4 MiB. Empty: no samples.
    std::filesystem::path stack_samples_file{};

    /// Samples for each second that the faults of the process take together: 1 to 1,000,000. Halved after each 8,192
    /// samples, so that the file of a long run stays small.
    unsigned stack_samples_rate = 10'000;

    /// Bytes of stack in a sample, 0 to 16 KiB. Calls whose frames are farther away are not seen.
    std::size_t stack_sample_bytes = std::size_t{8} << 10;

    /// What a child of fork gets of the pager. With `inherit`, it keeps the resident pages, and both processes count
    /// them; with Delivery::sigsegv or shared regions, all dirty pages are written to the swap file first. If the child
    /// can have no pager (no swap file, or no userfaultfd), it has the contents as ordinary memory without a limit, or,
    /// under sigsegv, nothing: its addresses are inaccessible. A message reports it.
    ForkPolicy fork = ForkPolicy::refuse;

    /// Receives the pager's messages. Called from the pager's own threads and from set-up calls, never from a fault. It
    /// must not touch managed memory. Empty: warnings and errors go to standard error through spdlog.
    std::function<void(LogLevel, std::string_view)> log{};
};

}  // namespace v0
}  // namespace faultline
