#include "guest/options.hpp"

#include <CLI/CLI.hpp>

namespace faultline::demo::guest {
namespace {

constexpr const char* kDescription =
    "run_elf [OPTION...] -- PROGRAM [ARGUMENT...]\n"
    "Runs a static x86-64 program in an address space of its own, with a limit of resident memory.\n"
    "Its calls for memory (brk, mmap, munmap, mprotect, madvise, msync) are answered by the space, through Syscall "
    "User\n"
    "Dispatch; the others are the kernel's. There is one process and one thread: fork, vfork, clone and execve are\n"
    "ENOSYS, as are mremap, mincore, io_uring and shmat. Memory is never writable and executable (EACCES). Handlers "
    "of\n"
    "signals run on the ordinary stack. The exit code is the program's, 128 + N where signal N has ended it; the "
    "report\n"
    "goes to standard error.";

}  // namespace

std::optional<Options> parse_options(int argc, const char* const* argv) {
    Options options;
    options.pager.resident = std::size_t{1} << 20;
    options.pager.delivery = Delivery::uffd_threads;  // the program's system calls touch absent pages
    CLI::App app{kDescription};
    add_size(app, "--resident", options.pager.resident, "Limit of resident memory, at least 32K");
    add_size(app, "--compressed", options.pager.compressed,
             "Limit of memory for compressed pages, beside that; 0: none");
    app.add_option("--record", options.pager.record, "Record the faults to this file, a page trace for policy_replay")
        ->type_name("FILE");
    app.add_option("--swap", options.pager.swap_directory,
                   "Directory of the swap file (default: $TMPDIR, else /var/tmp)")
        ->type_name("DIR");
    app.add_flag("--fixed", options.fixed, "No random places: the same addresses each time");
    app.add_flag("--maps", options.maps, "Show what is mapped when the program ends, as /proc/PID/maps has it");
    app.add_flag("--quiet", options.quiet, "No report");
    app.add_option("PROGRAM", options.program, "The program; after -- and the program, its arguments")->required();
    if (!parse_command_line(app, argc, argv)) return std::nullopt;
    return options;
}

}  // namespace faultline::demo::guest
