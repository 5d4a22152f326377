// The report of `faultline run`: how the program ended, and what each process of its tree counted, as text and as JSON.
// It reads nothing and prints nothing; run_command.cpp does.
#pragma once

#include "run/settings.hpp"
#include "run/status_file.hpp"
#include "tool/launch.hpp"

#include <sys/time.h>

#include <string>
#include <string_view>
#include <vector>

namespace faultline::tool {

struct RunReport {
    std::vector<std::string> program;  ///< The program and its arguments.
    std::string obstacle;              ///< Why the library cannot enter it, if known in advance ("is ..."); or empty.
    bool can_be_told = true;           ///< Whether programs could report that the library has entered them.
    run::Settings settings;
    ProgramEnd end;
    run::SeenPrograms seen;
};

/// The figures of all programs together.
struct Totals {
    std::uint64_t programs = 0;
    std::uint64_t running = 0;
    run::ProgramCounters counters;
    run::ProgramGauges gauges;  ///< Sums over running programs; `frames_peak` is the maximum of any one program.
};

[[nodiscard]] Totals totals_of(const run::SeenPrograms& seen) noexcept;

/// Returns the share of free bytes in the memory of blocks and of the gaps between them, from 0 to 1.
[[nodiscard]] double fragmentation(const run::ProgramGauges& gauges) noexcept;

/// Returns the share of faults that needed no read, from 0 to 1; a negative value if there were no faults.
[[nodiscard]] double hit_rate(const run::ProgramCounters& counters) noexcept;

[[nodiscard]] double seconds_of(const timeval& time) noexcept;

/// Returns `text` made safe for a terminal or a JSON file: what is not printable ASCII becomes '?'.
[[nodiscard]] std::string printable(std::string_view text);

/// Returns a line that names the process with the highest peak if any took more than 1.5 times its limit; otherwise
/// empty.
[[nodiscard]] std::string memory_warning(const RunReport& report);

/// Returns a line with the peak of memory beside the limit of all memory; empty if there was no such limit, or if no
/// program left figures.
[[nodiscard]] std::string memory_text(const RunReport& report);

/// Returns the peak: of all programs together if they shared the limit, else of the program that had most.
[[nodiscard]] run::TreePeak peak_of(const RunReport& report) noexcept;

/// Returns lines that name the programs that ran without the library; empty if there were none.
[[nodiscard]] std::string unmanaged_text(const RunReport& report);

/// Returns the command's exit code. That is the program's, unless it succeeded without a limit and that was not
/// allowed.
[[nodiscard]] int exit_code_of(const RunReport& report, bool allow_unmanaged) noexcept;

/// Returns the whole report as text lines, including the two texts above, and as JSON.
[[nodiscard]] std::string report_text(const RunReport& report);
[[nodiscard]] std::string report_json(const RunReport& report);

}  // namespace faultline::tool
