// The command line as a value. Sizes and names are checked here; files are not.
// Parsed once by main.cpp. The parser prints help and the version itself; the caller prints errors.
#pragma once

#include "run/settings.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace faultline::tool {

inline constexpr const char* kDefaultSamplesFile = "faultline.data";

/// Of `run`, and of `record`, which runs a program in the same way.
struct RunOptions {
    run::Settings settings;            ///< Texts in it are views of the environment;
    std::string swap_directory;        ///< this one takes precedence over `settings.swap_directory`.
    std::string library;               ///< The library to preload; empty: the one that belongs to this command.
    std::string json_file;             ///< File for the JSON report; empty: none.
    std::string record_file;           ///< File for samples of stacks; empty: none.
    bool stats = false;                ///< Print a report on standard error at the end.
    bool quiet = false;                ///< Print no line about the limit at the end.
    bool live = false;                 ///< Print a line each second.
    bool allow_unmanaged = false;      ///< Run the program even if the library cannot enter it.
    std::vector<std::string> program;  ///< The program and its arguments. Not empty.

    /// Returns true if programs have to write figures.
    [[nodiscard]] bool wants_figures() const noexcept {
        return stats || live || !json_file.empty() || !record_file.empty() || settings.memory() != 0;
    }
};

struct DoctorOptions {
    std::string swap_directory;  ///< Empty: the directory that programs would use.
    bool json = false;
};

struct ReportOptions {
    std::string file = kDefaultSamplesFile;  ///< Of samples.
    std::string flame_graph;                 ///< File for the SVG; empty: none.
    std::string perfetto;                    ///< File for the trace events; empty: none.
    std::string json;                        ///< File for the figures; empty: none.
    unsigned top = 10;                       ///< Places to list.
};

struct Options {
    enum class Command : std::uint8_t { run, record, report, doctor };
    Command command = Command::run;
    RunOptions run;
    DoctorOptions doctor;
    ReportOptions report;
    std::string environment_problem;  ///< An invalid variable, which `run` refuses. Empty: none.
};

/// Parses the arguments and `environment`. Returns nothing if help or the version was asked for, after printing it.
/// Throws std::invalid_argument if an argument is invalid, and for `run` if the environment is.
[[nodiscard]] std::optional<Options> parse_options(int argc, const char* const* argv, const char* const* environment);

}  // namespace faultline::tool
