#include "tool/options.hpp"

#include "run/command_options.hpp"
#include "tool/completion.hpp"

#include <faultline/version.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
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

const char* const kRecordNotes =
    "Full form: faultline record [OPTIONS] [--] PROGRAM [ARGUMENTS]\n"
    "Then `faultline report` shows which functions and lines faulted, how long their faults took, and what helps.\n"
    "The options are those of run. Faults are delivered to the thread that faults: by uffd_signal or sigsegv.\n"
    "The file contains pieces of PROGRAM's stacks: only its owner may read it. Exit status: that of run.";

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

/// Adds the options that `run` and `record` have in common.
void add_run_options(CLI::App& command, RunOptions& options) {
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

void add_run(CLI::App& app, RunOptions& options) {
    CLI::App& command = *app.add_subcommand("run", "Runs a program with a limit on its heap memory");
    command.footer(kRunNotes);
    add_run_options(command, options);
}

void add_record(CLI::App& app, RunOptions& options, std::string& file) {
    CLI::App& command = *app.add_subcommand("record", "Runs a program like run, and records which code faults");
    command.footer(kRecordNotes);
    command.add_option("-o,--output", file, "Write the samples to this file")->type_name("FILE")->capture_default_str();
    run::add_size(command, "--rate", options.settings.record_rate, run::Settings::kRecordRateRange,
                  "Stacks to keep for each second that faults take; halved after each 8192 stacks")
        ->type_name("N");
    run::add_size(command, "--stack-bytes", options.settings.record_stack, run::Settings::kRecordStackRange,
                  "Bytes of the stack to keep with each; more bytes show calls farther out");
    add_run_options(command, options);
}

void add_report(CLI::App& app, ReportOptions& options) {
    CLI::App& command = *app.add_subcommand("report", "Shows which code faulted in a recorded program, and what helps");
    command.footer("Exit status: 0; 125 if FILE cannot be read, or is not whole.");
    command.add_option("FILE", options.file, "The file that record has written")->capture_default_str();
    command.add_option("--top", options.top, "List this many places")->capture_default_str();
    command.add_option("--flamegraph", options.flame_graph, "Write a flame graph of the time lost, as SVG")
        ->type_name("FILE");
    command.add_option("--perfetto", options.perfetto, "Write the samples as trace events, for ui.perfetto.dev")
        ->type_name("FILE");
    command.add_option("--json", options.json, "Write all places with their figures as JSON")->type_name("FILE");
}

void add_doctor(CLI::App& app, DoctorOptions& options) {
    CLI::App& doctor = *app.add_subcommand("doctor", "Tests what this machine allows, and says how to get more");
    doctor.add_option("--swap", options.swap_directory, "Test this directory for swap files")->type_name("DIR");
    doctor.add_flag("--json", options.json, "Print JSON");
    doctor.footer("Exit status: 0 if everything that matters works, else 1.");
}

void add_completion(CLI::App& app, std::string& shell) {
    CLI::App& command = *app.add_subcommand("completion", "Prints a script by which a shell completes this command");
    command.add_option("SHELL", shell, "The shell")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh"}))
        ->type_name("{bash,zsh}");
    command.footer("bash: source <(faultline completion bash). zsh: put it into a folder of $fpath as _faultline.");
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
std::vector<std::string> program_of(const std::string& command, std::vector<std::string> left,
                                    const std::vector<std::string>& behind) {
    if (!left.empty() && left.front().starts_with('-')) {
        throw std::invalid_argument("unknown option '" + left.front() + "' of " + command);
    }
    const bool separated = left.empty() && !behind.empty();
    left.insert(left.end(), behind.begin() + (separated ? 1 : 0), behind.end());
    if (left.empty()) {
        throw std::invalid_argument("PROGRAM is missing: faultline " + command + " [OPTIONS] [--] PROGRAM [ARGUMENTS]");
    }
    return left;
}

/// Throws if the first argument is neither a command nor an option: the parser's own message would name neither.
void check_command(const std::vector<std::string>& arguments) {
    constexpr const char* kCommands = "(run, record, report, doctor, completion, help)";
    if (arguments.empty()) throw std::invalid_argument(std::string{"a command is missing "} + kCommands);
    const std::string& command = arguments.front();
    constexpr std::array<std::string_view, 5> kKnown{"run", "record", "report", "doctor", "completion"};
    if (std::find(kKnown.begin(), kKnown.end(), command) != kKnown.end() || command.starts_with('-')) return;
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
    std::string record_file = kDefaultSamplesFile;
    add_run(app, run);
    add_record(app, run, record_file);
    add_report(app, options.report);
    add_doctor(app, options.doctor);
    std::string shell;
    add_completion(app, shell);
    app.footer("`faultline help COMMAND` explains a command.");
    try {
        app.parse(reversed(arguments.ours));
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() != 0) throw std::invalid_argument(error.what());
        app.exit(error);
        return std::nullopt;
    }
    if (app.got_subcommand("completion")) {
        const std::string script = shell == "zsh" ? zsh_completion(app) : bash_completion(app);
        static_cast<void>(std::fputs(script.c_str(), stdout));
        return std::nullopt;
    }
    if (app.got_subcommand("doctor")) {
        options.command = Options::Command::doctor;
        return options;
    }
    if (app.got_subcommand("report")) {
        options.command = Options::Command::report;
        return options;
    }
    if (!options.environment_problem.empty()) throw std::invalid_argument(options.environment_problem);
    const bool records = app.got_subcommand("record");
    if (records) {
        options.command = Options::Command::record;
        run.record_file = record_file;
    }
    const std::string command = records ? "record" : "run";
    run.program = program_of(command, app.get_subcommand(command)->remaining(), arguments.behind);
    return options;
}

}  // namespace faultline::tool
