// run_elf: runs a static program for x86-64 in an address space of faultline, in a child process. Its pages come from
// its file or begin as zeros, a limited number of them is in memory at a time, and the space answers its memory calls.
#include "display/format.hpp"
#include "guest/child.hpp"
#include "guest/options.hpp"
#include "guest/parent.hpp"
#include "guest/report_board.hpp"
#include "support/command_line.hpp"
#include "support/exit_code.hpp"
#include "support/files.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <system_error>

namespace faultline::demo::guest {
namespace {

FileDescriptor open_program(const std::string& path) {
    FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (file.get() < 0) throw std::system_error(errno, std::generic_category(), "cannot open " + path);
    return file;
}

elf::ProgramFile read_program(const std::string& path, int descriptor) {
    try {
        return elf::read_program(descriptor);
    } catch (const elf::BadProgram& error) {
        throw std::runtime_error("cannot run " + path + ": " + error.what());
    }
}

int run_child(const Options& options, OpenProgram program, const HeldSignals& signals, ReportBoard& board,
              pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) return kExitUnusable;  // the parent has ended before this could be set
    run_in_this_process(options, program, signals.mask_before(), board);
    return kExitOk;
}

int run(const Options& options) {
    const std::string& path = options.program.front();
    FileDescriptor file = open_program(path);
    const OpenProgram program{file.get(), read_program(path, file.get())};
    ReportBoard board;
    const HeldSignals signals;
    const pid_t parent = ::getpid();
    // Before a pager exists: the child makes its own.
    const pid_t child = ::fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "cannot fork");
    if (child == 0) return run_child(options, {file.release(), program.file}, signals, board, parent);
    if (!options.quiet) {
        static_cast<void>(std::fprintf(stderr, "run_elf: %s runs as process %d, at most %s resident\n", path.c_str(),
                                       static_cast<int>(child),
                                       display::format_bytes(std::uint64_t{options.pager.resident}).c_str()));
    }
    return relay(child, board);
}

}  // namespace
}  // namespace faultline::demo::guest

int main(int argc, char** argv) {
    using namespace faultline::demo;
    return run_program("run_elf", [&] {
        const auto options = guest::parse_options(argc, argv);
        return options ? guest::run(*options) : kExitOk;
    });
}
