// What was asked for on the command line. It decides nothing: sizes and names are checked, files are not looked at.
#pragma once

#include "run/settings.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace faultline::tool {

struct RunOptions {
    run::Settings settings;            ///< Its texts are views of the environment;
    std::string swap_directory;        ///< this one counts.
    std::string library;               ///< To preload; empty: the one that belongs to this command.
    std::string json_file;             ///< For the report; empty: none.
    bool stats = false;                ///< Report on standard error at the end.
    bool live = false;                 ///< A line each second.
    bool allow_unmanaged = false;      ///< Run the program also where the library cannot enter it.
    std::vector<std::string> program;  ///< And its arguments. Not empty.

    /// Whether programs have to say how they are doing.
    [[nodiscard]] bool wants_figures() const noexcept { return stats || live || !json_file.empty(); }
};

struct DoctorOptions {
    std::string swap_directory;  ///< Empty: what programs get.
    bool json = false;
};

struct Options {
    enum class Command : std::uint8_t { run, doctor };
    Command command = Command::run;
    RunOptions run;
    DoctorOptions doctor;
    std::string environment_problem;  ///< What is wrong with a variable, which run refuses. Empty: nothing.
};

/// What the arguments and `environment` ask for. Nothing when it was help or the version, which is then printed. Throws
/// std::invalid_argument when something is wrong with the arguments, or, where it is run, with the environment.
[[nodiscard]] std::optional<Options> parse_options(int argc, const char* const* argv, const char* const* environment);

}  // namespace faultline::tool
