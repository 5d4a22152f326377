#include "tool/options.hpp"

#include "run/command_options.hpp"

#include <faultline/version.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace faultline::tool {
namespace {

constexpr const char* kAbout = "Limits the heap memory of a program and its children: cold pages go to a swap file";

const char* const kRunNotes =
    "Full form: faultline run [OPTIONS] [--] PROGRAM [ARGUMENTS]\n"
    "Pages beyond the limit go to compressed memory or to a swap file. --memory is one limit for PROGRAM and\n"
    "all its children, for everything but files; the other limits are for each process.\n"
    "Exit status: that of PROGRAM; 128 + N if signal N has ended it; 127 if PROGRAM is not found; 126 if it\n"
    "cannot be run; 125 if faultline itself fails or cannot hold PROGRAM to the limit.\n"
    "See faultline(1).";

/// Which limits the command line gives.
struct GivenLimits {
    bool memory = false;
    bool per_process = false;
    bool resident = false;
    bool compressed = false;
};

/// Lets the limits of the command line replace those of the environment. Throws if they exclude each other.
void choose_limits(run::Settings& settings, const GivenLimits& given) {
    const run::Settings defaults;
    if (given.memory && given.per_process) {
        throw CLI::ValidationError("--memory",
                                   "and --memory-per-process exclude each other: the limit is for the "
                                   "processes together, or for each of them");
    }
    const bool parts = given.resident || given.compressed;
    if ((given.memory || given.per_process) && parts) {
        throw CLI::ValidationError(given.memory ? "--memory" : "--memory-per-process",
                                   std::string{"and "} + (given.resident ? "--resident" : "--compressed") +
                                       " exclude each other: the first one is the limit of all memory, and is divided "
                                       "by itself");
    }
    if (given.memory || parts) settings.memory_per_process = 0;
    if (given.per_process || parts) settings.memory_limit = 0;
    if (given.memory || given.per_process) {
        settings.resident_limit = defaults.resident_limit;
        settings.compressed_limit = defaults.compressed_limit;
    }
}

void add_run(CLI::App& app, RunOptions& options) {
    CLI::App& command = *app.add_subcommand("run", "Runs a program with a limit on its heap memory");
    command.footer(kRunNotes);
    command.prefix_command();
    CLI::Option* const memory =
        run::add_size(command, "--memory", options.settings.memory_limit, run::Settings::kMemoryRange,
                      "Maximum memory of all processes together, compressed pages and unmanaged "
                      "memory included");
    CLI::Option* const per_process = run::add_size(command, "--memory-per-process", options.settings.memory_per_process,
                                                   run::Settings::kMemoryRange, "The same for each process by itself");
    CLI::Option* const resident =
        run::add_size(command, "--resident", options.settings.resident_limit, run::Settings::kResidentRange,
                      "Maximum heap memory kept in RAM, per process");
    CLI::Option* const compressed =
        run::add_size(command, "--compressed", options.settings.compressed_limit, run::Settings::kCompressedRange,
                      "Memory for compressed pages, on top of that; 0: none");
    run::add_size(command, "--heap", options.settings.heap_reservation, run::Settings::kHeapRange,
                  "Addresses reserved for the heap, which limit its total size");
    command.add_flag_function(
        "--mappings,!--no-mappings", [&options](std::int64_t on) { options.settings.mappings = on > 0; },
        "Manage the anonymous memory that the program maps, too, and not only its heap; the default with --memory");
    command
        .add_option("--swap", options.swap_directory, "Directory of the swap file (default: $TMPDIR, else /var/tmp)")
        ->type_name("DIR");
    run::add_choice(command, "--delivery", options.settings.delivery, "How page faults reach the library");
    command.final_callback([&options, memory, per_process, resident, compressed] {
        choose_limits(options.settings,
                      {memory->count() > 0, per_process->count() > 0, resident->count() > 0, compressed->count() > 0});
    });
    command.add_flag("--quiet", options.quiet, "Print no line about the limit at the end");
    command.add_flag("--stats", options.stats, "Print a report on standard error at the end");
    command.add_option("--stats-json", options.json_file, "Write the report to this file")->type_name("FILE");
    command.add_flag("--live", options.live, "Print figures and a map each second, on standard error");
    command.add_flag("--allow-unmanaged", options.allow_unmanaged,
                     "Run PROGRAM without a limit if the library cannot enter it");
    command.add_option("--library", options.library, "Preload this library instead of the one beside this command")
        ->type_name("FILE");
}

void add_doctor(CLI::App& app, DoctorOptions& options) {
    CLI::App& doctor = *app.add_subcommand("doctor", "Tests what this machine allows, and says how to get more");
    doctor.add_option("--swap", options.swap_directory, "Test this directory for swap files")->type_name("DIR");
    doctor.add_flag("--json", options.json, "Print JSON");
    doctor.footer("Exit status: 0 if everything that matters works, else 1.");
}

/// The command line, split at the first "--". The parser gets no "--", because it gives it a meaning of its own.
struct Arguments {
    std::vector<std::string> ours;
    std::vector<std::string> behind;  // with the "--", if there is one

    Arguments(int argc, const char* const* argv) : ours(argv + 1, argv + argc) {
        const auto cut = std::find(ours.begin(), ours.end(), "--");
        behind.assign(cut, ours.end());
        ours.erase(cut, ours.end());
    }
};

/// Returns the program and its arguments. `left`: what the parser did not consume, that is, a program named without
/// "--". A "--" after that belongs to the program.
std::vector<std::string> program_of(std::vector<std::string> left, const std::vector<std::string>& behind) {
    if (!left.empty() && left.front().starts_with('-')) {
        throw std::invalid_argument("unknown option '" + left.front() + "' of run");
    }
    const bool separated = left.empty() && !behind.empty();
    left.insert(left.end(), behind.begin() + (separated ? 1 : 0), behind.end());
    if (left.empty()) {
        throw std::invalid_argument("PROGRAM is missing: faultline run [OPTIONS] [--] PROGRAM [ARGUMENTS]");
    }
    return left;
}

/// Throws if the first argument is neither a command nor an option: the parser's own message would name neither.
void check_command(const std::vector<std::string>& arguments) {
    constexpr const char* kCommands = "(run, doctor, help)";
    if (arguments.empty()) throw std::invalid_argument(std::string{"a command is missing "} + kCommands);
    const std::string& command = arguments.front();
    if (command == "run" || command == "doctor" || command.starts_with('-')) return;
    throw std::invalid_argument("unknown command '" + command + "' " + kCommands);
}

/// Returns the arguments, the last one first, as the parser needs them. Turns "help COMMAND" into "COMMAND --help".
std::vector<std::string> reversed(std::vector<std::string> arguments) {
    if (!arguments.empty() && arguments.front() == "help") {
        arguments.erase(arguments.begin());
        arguments.push_back("--help");
    }
    check_command(arguments);
    std::reverse(arguments.begin(), arguments.end());
    return arguments;
}

/// Returns what is wrong with a variable; later variables then keep their defaults.
std::string read_environment(const char* const* environment, run::Settings& settings) {
    run::SettingsProblem problem;
    return run::read_settings(environment, settings, problem) ? std::string{} : std::string{problem.text.data()};
}

}  // namespace

std::optional<Options> parse_options(int argc, const char* const* argv, const char* const* environment) {
    Options options;
    RunOptions& run = options.run;
    options.environment_problem = read_environment(environment, run.settings);
    run.swap_directory = run.settings.swap_directory;

    const Arguments arguments{argc, argv};
    CLI::App app{kAbout, "faultline"};
    app.set_version_flag("--version", "faultline " FAULTLINE_VERSION_STRING);
    app.require_subcommand(1);
    add_run(app, run);
    add_doctor(app, options.doctor);
    app.footer("`faultline help COMMAND` explains a command.");
    try {
        app.parse(reversed(arguments.ours));
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() != 0) throw std::invalid_argument(error.what());
        app.exit(error);
        return std::nullopt;
    }
    if (app.got_subcommand("doctor")) {
        options.command = Options::Command::doctor;
        return options;
    }
    if (!options.environment_problem.empty()) throw std::invalid_argument(options.environment_problem);
    run.program = program_of(app.get_subcommand("run")->remaining(), arguments.behind);
    return options;
}

}  // namespace faultline::tool
