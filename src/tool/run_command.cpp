#include "tool/run_command.hpp"

#include "display/terminal.hpp"
#include "run/status_file.hpp"
#include "sys/error.hpp"
#include "tool/exit_code.hpp"
#include "tool/launch.hpp"
#include "tool/live_view.hpp"
#include "tool/preload_library.hpp"
#include "tool/program_file.hpp"
#include "tool/report.hpp"

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

namespace faultline::tool {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kLivePeriod{1};

struct CloseFile {
    void operator()(std::FILE* file) const noexcept { static_cast<void>(std::fclose(file)); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

/// Opened ahead: a report that cannot be written is better known before an hour's run.
File open_report(const std::string& path) {
    if (path.empty()) return {};
    File file{std::fopen(path.c_str(), "we")};
    if (!file) sys::throw_error(errno, "cannot write the report to " + path);
    return file;
}

void print(const std::string& text) {
    // There is nobody left to be told when standard error takes nothing.
    static_cast<void>(std::fputs(text.c_str(), stderr));
    static_cast<void>(std::fflush(stderr));
}

bool write_report(std::FILE* file, const std::string& path, const std::string& text) {
    if (std::fputs(text.c_str(), file) >= 0 && std::fflush(file) == 0) return true;
    print("faultline: the report could not be written to " + path + "\n");
    return false;
}

ProgramEnd watch(Launch& launch, const run::StatusFile& status) {
    LiveView view{display::Terminal::of(stderr)};
    for (Clock::time_point next = Clock::now() + kLivePeriod;; next += kLivePeriod) {
        if (const auto end = launch.wait_until(next)) return *end;
        print(view.next(status.look(), Clock::now(), display::terminal_columns(stderr)));
    }
}

void warn_of(const RunOptions& options, const std::string& obstacle) {
    if (obstacle.empty() || !options.wants_figures()) return;
    print("faultline: " + printable(options.program.front()) + " " + obstacle +
          ": it runs without faultline, unless it starts other programs\n");
}

}  // namespace

int run_command(const RunOptions& options, const char* const* environment) {
    const std::string library = options.library.empty() ? find_preload_library() : options.library;
    const File json = open_report(options.json_file);
    std::optional<run::StatusFile> status;
    run::Settings settings = options.settings;
    settings.swap_directory = options.swap_directory;
    if (options.wants_figures()) settings.status_file = status.emplace().path();

    const std::string& name = options.program.front();
    const std::optional<std::string> file = find_program(name);
    if (!file) {
        print("faultline: there is no program '" + printable(name) + "'\n");
        return kExitNotFound;
    }
    RunReport report{options.program, why_not_preloaded(*file), settings, {}, {}};
    warn_of(options, report.obstacle);

    Launch launch;
    std::optional<ProgramEnd> end =
        launch.start(*file, options.program, environment_of_program(environment, library, settings));
    if (!end) end = options.live ? watch(launch, *status) : launch.wait();
    report.end = *end;
    if (report.end.start_error != 0) print("faultline: " + printable(name) + " " + report.end.text() + "\n");
    if (status) report.seen = status->look();
    if (options.stats && report.end.start_error == 0) print(report_text(report));
    if (json && !write_report(json.get(), options.json_file, report_json(report))) return kExitFailed;
    return report.end.exit_code();
}

}  // namespace faultline::tool
