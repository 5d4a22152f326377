#include "tool/run_command.hpp"

#include "display/format.hpp"
#include "display/terminal.hpp"
#include "run/launcher.hpp"
#include "run/size_text.hpp"
#include "run/status_file.hpp"
#include "sys/error.hpp"
#include "sys/machine_memory.hpp"
#include "tool/exit_code.hpp"
#include "tool/launch.hpp"
#include "tool/live_view.hpp"
#include "tool/preload_library.hpp"
#include "tool/program_file.hpp"
#include "tool/report.hpp"
#include "trace/stacks/stack_file_writer.hpp"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace faultline::tool {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kLivePeriod{1};

struct CloseFile {
    void operator()(std::FILE* file) const noexcept { static_cast<void>(std::fclose(file)); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

/// Opens the report early: better to learn before an hour's run that it cannot be written.
File open_report(const std::string& path) {
    if (path.empty()) return {};
    File file{std::fopen(path.c_str(), "we")};
    if (!file) sys::throw_error(errno, "cannot write the report to " + path);
    return file;
}

void print(const std::string& text) {
    // A failure to write to standard error cannot be reported.
    static_cast<void>(std::fputs(text.c_str(), stderr));
    static_cast<void>(std::fflush(stderr));
}

bool write_report(std::FILE* file, const std::string& path, const std::string& text) {
    if (std::fputs(text.c_str(), file) >= 0 && std::fflush(file) == 0) return true;
    print("faultline: the report could not be written to " + path + "\n");
    return false;
}

/// Watches whether the library enters the program, and reports once if it does not.
class EntryWatch {
public:
    EntryWatch(const RunReport& report, const run::StatusFile& status) noexcept : report_{report}, status_{status} {}

    void look() {
        if (said_ || !report_.can_be_told || !report_.obstacle.empty() || status_.entered()) return;
        said_ = true;
        print("faultline: warning: " + printable(report_.program.front()) +
              " runs without a limit so far: no process has loaded faultline's library\n");
    }

private:
    const RunReport& report_;
    const run::StatusFile& status_;
    bool said_ = false;
};

ProgramEnd wait_quietly(Launch& launch, EntryWatch& entry) {
    constexpr std::chrono::seconds kTimeToStart{10};  // long enough for a busy machine
    if (const auto end = launch.wait_until(Clock::now() + kTimeToStart)) return *end;
    entry.look();
    return launch.wait();
}

ProgramEnd wait_with_lines(Launch& launch, EntryWatch& entry, const run::StatusFile& status) {
    LiveView view{display::Terminal::of(stderr)};
    for (Clock::time_point next = Clock::now() + kLivePeriod;; next += kLivePeriod) {
        if (const auto end = launch.wait_until(next)) return *end;
        print(view.next(status.look(), Clock::now(), display::terminal_columns(stderr)));
        entry.look();
    }
}

/// Returns true if the program is started by the launcher, so that the library enters it.
bool uses_launcher(const ProgramObstacle& obstacle, const std::string& launcher) {
    return obstacle.kind == run::Obstacle::statically_linked && !launcher.empty();
}

/// Returns false, after a message, if the program must not run.
bool may_run(const RunOptions& options, const std::string& obstacle) {
    if (obstacle.empty()) return true;
    const std::string begin = "faultline: " + printable(options.program.front()) + " " + obstacle;
    if (!options.allow_unmanaged) {
        print(begin + ": faultline cannot limit its memory; to run it without a limit, use run --allow-unmanaged\n");
        return false;
    }
    print(begin + ": it runs without a limit; programs that it starts are limited\n");
    return true;
}

/// Does here once, with one warning, what the library would do in each process.
void lower_limit(const char* option, std::size_t& bytes) {
    const std::string warning = sys::lower_to_machine_memory(option, bytes);
    if (!warning.empty()) print("faultline: warning: " + warning + "\n");
}

void lower_limits(run::Settings& settings) {
    lower_limit("--memory", settings.memory_limit);
    lower_limit("--memory-per-process", settings.memory_per_process);
    lower_limit("--resident", settings.resident_limit);
    lower_limit("--compressed", settings.compressed_limit);
}

/// Returns the program's environment. musl's loader ends a program if it cannot load a library, so such a program gets
/// the command's own environment.
std::vector<std::string> environment_for(run::Obstacle obstacle, const char* const* environment,
                                         const std::string& library, const run::Settings& settings) {
    if (obstacle != run::Obstacle::musl) return environment_of_program(environment, library, settings);
    std::vector<std::string> variables;
    for (; environment != nullptr && *environment != nullptr; ++environment) variables.emplace_back(*environment);
    return variables;
}

void finish(RunReport& report, const RunOptions& options, const run::StatusFile& status) {
    if (report.end.start_error != 0) {
        print("faultline: " + printable(report.program.front()) + " " + report.end.text() + "\n");
        return;
    }
    report.seen = status.look();
    if (options.stats) return print(report_text(report));
    print((options.quiet ? "" : memory_text(report)) + unmanaged_text(report));
}

/// Makes the file for samples, if there is to be one. Returns its absolute path: the program may change its directory.
std::string begin_recording(const RunOptions& options, const run::Settings& settings) {
    if (options.record_file.empty()) return {};
    if (settings.delivery == Delivery::uffd_threads) {
        throw std::invalid_argument(
            "record needs the registers of the thread that faults, which uffd_threads does not have: choose "
            "--delivery uffd_signal or sigsegv, or leave the choice to faultline");
    }
    trace::StackFileWriter::create(options.record_file);
    return std::filesystem::absolute(options.record_file);
}

std::string recording_text(const std::string& file) {
    std::error_code error;
    const std::uintmax_t bytes = std::filesystem::file_size(file, error);
    return "faultline: recorded " + display::format_bytes(static_cast<std::uint64_t>(error ? 0 : bytes)) + " in " +
           printable(file) + "; see `faultline report" +
           (file == kDefaultSamplesFile ? std::string{} : " " + printable(file)) + "`\n";
}

}  // namespace

int run_command(const RunOptions& options, const char* const* environment) {
    const std::string library =
        options.library.empty() ? find_preload_library() : check_preload_library(options.library);
    const File json = open_report(options.json_file);
    run::Settings settings = options.settings;
    lower_limits(settings);
    const run::StatusFile status{
        options.wants_figures() ? run::StatusFile::Figures::wanted : run::StatusFile::Figures::none,
        settings.memory_limit};
    settings.swap_directory = options.swap_directory;
    settings.status_file = status.path();
    const std::string samples_file = begin_recording(options, settings);
    settings.record_file = samples_file;

    const std::string& name = options.program.front();
    const std::optional<std::string> file = find_program(name);
    if (!file) {
        print("faultline: program '" + printable(name) + "' not found in $PATH\n");
        return kExitNotFound;
    }
    ProgramObstacle obstacle = obstacle_to_preload(*file);
    const std::string launcher = find_launcher(library);
    const bool launches = uses_launcher(obstacle, launcher);
    if (launches) obstacle = {};
    if (!may_run(options, obstacle.words)) return kExitFailed;
    RunReport report{options.program, obstacle.words, status.can_be_opened(), settings, {}, {}};

    Launch launch;
    std::vector<std::string> variables = environment_for(obstacle.kind, environment, library, settings);
    if (launches) variables.push_back(std::string{run::kProgramVariable} + "=" + *file);
    std::optional<ProgramEnd> end = launch.start(launches ? launcher : *file, options.program, variables);
    if (!end) {
        EntryWatch entry{report, status};
        end = options.live ? wait_with_lines(launch, entry, status) : wait_quietly(launch, entry);
    }
    report.end = *end;
    finish(report, options, status);
    if (!samples_file.empty() && !options.quiet) print(recording_text(options.record_file));
    if (json && !write_report(json.get(), options.json_file, report_json(report))) return kExitFailed;
    return exit_code_of(report, options.allow_unmanaged);
}

}  // namespace faultline::tool
