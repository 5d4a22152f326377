#include "tool/options.hpp"

#include "run/size_text.hpp"

#include <faultline/types.hpp>
#include <faultline/version.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

namespace faultline::tool {
namespace {

constexpr const char* kAbout = "Runs programs whose heap may be larger than the memory they are given";

const char* const kRunNotes =
    "As in: faultline run [OPTIONS] [--] PROGRAM [ARGUMENTS]\n"
    "What does not fit the limit is swapped to a file. The limits hold for each process that PROGRAM starts.\n"
    "Exit status: that of PROGRAM; 128 and a signal's number when one has ended it; 127 when PROGRAM is not\n"
    "found, 126 when it cannot be run, 125 when this command fails or cannot hold PROGRAM to the limit.\n"
    "See faultline(1).";

const std::vector<std::string>& deliveries() {
    static const std::vector<std::string> names{name(Delivery::automatic), name(Delivery::uffd_threads),
                                                name(Delivery::uffd_signal), name(Delivery::sigsegv)};
    return names;
}

Delivery delivery_named(const std::string& text) {
    for (const Delivery delivery : {Delivery::uffd_threads, Delivery::uffd_signal, Delivery::sigsegv}) {
        if (text == name(delivery)) return delivery;
    }
    return Delivery::automatic;  // the parser has refused all other names
}

void add_size(CLI::App& app, const std::string& option, std::size_t& bytes, const run::SizeRange& range,
              const std::string& description) {
    const auto parse = [&bytes, option, range](const std::string& text) {
        const run::ParsedSize size = run::parse_size(text);
        if (size.problem != nullptr) throw CLI::ValidationError(option, "'" + text + "' " + size.problem);
        if (!range.contains(size.bytes)) {
            throw CLI::ValidationError(option, "'" + text + "' is outside of " + std::string{range.words});
        }
        bytes = size.bytes;
    };
    app.add_option_function<std::string>(option, parse, description)
        ->type_name("SIZE")
        ->default_str(run::size_text(bytes));
}

void add_run(CLI::App& app, RunOptions& options, std::string& delivery) {
    CLI::App& run = *app.add_subcommand("run", "Runs a program with its heap in managed memory");
    run.footer(kRunNotes);
    run.prefix_command();
    add_size(run, "--resident", options.settings.resident_limit, run::Settings::kResidentRange,
             "Most bytes of the heap in memory");
    add_size(run, "--compressed", options.settings.compressed_limit, run::Settings::kCompressedRange,
             "Memory for compressed pages beside that; 0: none");
    add_size(run, "--heap", options.settings.heap_reservation, run::Settings::kHeapRange,
             "Addresses for the heap: the most that it can hold");
    run.add_option("--swap", options.swap_directory, "Directory of the swap file (default: $TMPDIR, else /var/tmp)")
        ->type_name("DIR");
    run.add_option("--delivery", delivery, "How page faults arrive")
        ->check(CLI::IsMember(deliveries()))
        ->capture_default_str();
    run.add_flag("--stats", options.stats, "Report on standard error at the end");
    run.add_option("--stats-json", options.json_file, "Write the report to this file")->type_name("FILE");
    run.add_flag("--live", options.live, "Print figures and a map each second, on standard error");
    run.add_flag("--allow-unmanaged", options.allow_unmanaged,
                 "Run programs that the library cannot enter: without a limit");
    run.add_option("--library", options.library, "Preload this library, not the one beside this command")
        ->type_name("FILE");
}

void add_doctor(CLI::App& app, DoctorOptions& options) {
    CLI::App& doctor = *app.add_subcommand("doctor", "Says what this machine allows, and how to get more");
    doctor.add_option("--swap", options.swap_directory, "Look at this directory for the swap file")->type_name("DIR");
    doctor.add_flag("--json", options.json, "Print JSON");
    doctor.footer("Exit status: 0 when all that matters works, 1 when something does not.");
}

/// The command line, cut at the first "--": the parser sees none, which it has ideas of its own about.
struct Arguments {
    std::vector<std::string> ours;
    std::vector<std::string> behind;  // with the "--", if there is one

    Arguments(int argc, const char* const* argv) : ours(argv + 1, argv + argc) {
        const auto cut = std::find(ours.begin(), ours.end(), "--");
        behind.assign(cut, ours.end());
        ours.erase(cut, ours.end());
    }
};

/// `left` is what the parser has left: a program that was named without "--". One behind it is then the program's.
std::vector<std::string> program_of(std::vector<std::string> left, const std::vector<std::string>& behind) {
    if (!left.empty() && left.front().rfind("-", 0) == 0) {
        throw std::invalid_argument("'" + left.front() + "' is no option of run");
    }
    const bool separated = left.empty() && !behind.empty();
    left.insert(left.end(), behind.begin() + (separated ? 1 : 0), behind.end());
    if (left.empty()) {
        throw std::invalid_argument("which program? Usage: faultline run [OPTIONS] [--] PROGRAM [ARGUMENTS]");
    }
    return left;
}

/// Throws where the first argument is neither a command nor an option: the parser's own message names neither.
void check_command(const std::vector<std::string>& arguments) {
    constexpr const char* kCommands = "run, doctor and help";
    if (arguments.empty()) throw std::invalid_argument(std::string{"which command? There are "} + kCommands);
    const std::string& command = arguments.front();
    if (command == "run" || command == "doctor" || command.rfind("-", 0) == 0) return;
    throw std::invalid_argument("there is no command '" + command + "': there are " + kCommands);
}

/// The arguments, the last one first, as the parser wants them; "help COMMAND" is "COMMAND --help".
std::vector<std::string> reversed(std::vector<std::string> arguments) {
    if (!arguments.empty() && arguments.front() == "help") {
        arguments.erase(arguments.begin());
        arguments.push_back("--help");
    }
    check_command(arguments);
    std::reverse(arguments.begin(), arguments.end());
    return arguments;
}

/// What is wrong with a variable; those behind it keep their defaults.
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
    std::string delivery = name(run.settings.delivery);

    const Arguments arguments{argc, argv};
    CLI::App app{kAbout, "faultline"};
    app.set_version_flag("--version", "faultline " FAULTLINE_VERSION_STRING);
    app.require_subcommand(1);
    add_run(app, run, delivery);
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
    run.settings.delivery = delivery_named(delivery);
    return options;
}

}  // namespace faultline::tool
