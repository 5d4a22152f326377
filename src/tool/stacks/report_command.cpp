#include "tool/stacks/report_command.hpp"

#include "display/terminal.hpp"
#include "sys/error.hpp"
#include "tool/exit_code.hpp"
#include "tool/stacks/flame_graph.hpp"
#include "tool/stacks/samples_file.hpp"
#include "tool/stacks/stack_analysis.hpp"
#include "tool/stacks/stack_report.hpp"
#include "tool/stacks/trace_events.hpp"

#include <cerrno>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace faultline::tool {
namespace {

void write_file(const std::string& path, const std::string& text) {
    std::FILE* const file = std::fopen(path.c_str(), "we");
    if (file == nullptr) sys::throw_error(errno, "cannot write " + path);
    const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    const int error = errno;
    if (std::fclose(file) != 0) sys::throw_error(errno, "cannot write " + path);
    if (!written) sys::throw_error(error, "cannot write " + path);
}

}  // namespace

int report_command(const ReportOptions& options) {
    const std::vector<RecordedSession> sessions = read_samples_file(options.file);
    if (sessions.empty()) {
        throw std::runtime_error{options.file + " has no samples: faultline's library has not entered the program"};
    }
    const StackAnalysis analysis{sessions};
    if (!options.flame_graph.empty()) write_file(options.flame_graph, flame_graph(analysis));
    if (!options.perfetto.empty()) write_file(options.perfetto, trace_events(sessions, analysis));
    if (!options.json.empty()) write_file(options.json, stack_report_json(sessions, analysis));
    const bool colour = display::Terminal::of(stdout).colour;
    const std::string text = stack_report_text(options.file, sessions, analysis, options.top, colour);
    static_cast<void>(std::fputs(text.c_str(), stdout));  // main reports a failure
    return kExitOk;
}

}  // namespace faultline::tool
