// What `faultline run` says at the end: how the program has ended, and what each process of its tree has counted. As
// text for people and as JSON; it reads nothing and prints nothing.
#pragma once

#include "run/settings.hpp"
#include "run/status_file.hpp"
#include "tool/launch.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace faultline::tool {

struct RunReport {
    std::vector<std::string> program;  ///< And its arguments.
    std::string obstacle;              ///< Why the library cannot enter it, as far as known ahead ("is ..."); or empty.
    bool can_be_told = true;           ///< Whether programs could tell that the library has entered them.
    run::Settings settings;
    ProgramEnd end;
    run::SeenPrograms seen;
};

/// All programs together.
struct Totals {
    std::uint64_t programs = 0;
    std::uint64_t running = 0;
    run::ProgramCounters counters;
    run::ProgramGauges gauges;  ///< Sums over those that run; `frames_peak` is the most of any one program.
};

[[nodiscard]] Totals totals_of(const run::SeenPrograms& seen) noexcept;

/// Bytes that no block has, of those that blocks and what is between them take, from 0 to 1.
[[nodiscard]] double fragmentation(const run::ProgramGauges& gauges) noexcept;

/// Part of the faults that needed no read, from 0 to 1; less than 0 when there was none.
[[nodiscard]] double hit_rate(const run::ProgramCounters& counters) noexcept;

/// `text` for a terminal or a JSON file, whoever it is from: what is not printable ASCII becomes '?'.
[[nodiscard]] std::string printable(std::string_view text);

/// Names the process that took most, where processes took more than 1.5 times their limit; else empty. A line.
[[nodiscard]] std::string memory_warning(const RunReport& report);

/// Names programs that ran without the library; empty where all had it. Lines.
[[nodiscard]] std::string unmanaged_text(const RunReport& report);

/// What the command returns: the program's exit code, but no success where the program ran without a limit and that was
/// not allowed.
[[nodiscard]] int exit_code_of(const RunReport& report, bool allow_unmanaged) noexcept;

/// The whole report as text lines, the two texts above included, and as JSON.
[[nodiscard]] std::string report_text(const RunReport& report);
[[nodiscard]] std::string report_json(const RunReport& report);

}  // namespace faultline::tool
