// The command line of policy_replay.
#include "policy_replay/options.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <stdexcept>

#include "replay/contestants.hpp"
#include "run/command_options.hpp"

namespace bench {
namespace {

constexpr const char* kDescription =
    "Replays page traces under replacement policies and counts what they would read from the store.\n"
    "No page is touched: workloads are made from a seed, and the result is the same on every machine.";

/// Options that are given as words, until all of them are parsed.
struct Words {
    std::string suite = "all";
    std::string evictor = "faulting_thread";
    std::string frame_of_staged = "moves";
    std::vector<std::string> plugins{};
    bool instructions = false;
    bool smoke = false;
    bool list = false;
};

void add_what(CLI::App& app, Options& options, Words& words) {
    app.add_option("--suite", words.suite,
                   "tuning, held-out, fresh or all: the workloads policies were tuned by, or others")
        ->check(CLI::IsMember({"tuning", "held-out", "fresh", "all"}))
        ->capture_default_str();
    app.add_option("--workloads", options.workloads, "Which of them (all); see --list")->delimiter(',');
    app.add_option("--trace", options.traces, "Replay this trace file instead; may be repeated")
        ->check(CLI::ExistingFile);
    app.add_option("--references", options.references, "Length of a workload")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1} << 32))
        ->capture_default_str();
    app.add_option("--seed", options.seed, "Seed of the tuning suite; those of the others are 1000 and 2000 more")
        ->capture_default_str();
    app.add_flag("--list", words.list, "List the workloads and policies, and exit");
    app.add_flag("--smoke", words.smoke, "Small sizes, to check that it works");
}

void add_conditions(CLI::App& app, Options& options, Words& words) {
    app.add_option("--policies", options.policies, "Which policies (all); see --list")->delimiter(',');
    app.add_option("--plugin", words.plugins,
                   "Load a policy from this shared object, too (docs/your-own-policy.md); may be repeated")
        ->check(CLI::ExistingFile);
    app.add_option("--frames", options.frames,
                   "Pages that memory holds (1024; of a trace file, a quarter of its pages)")
        ->check(CLI::Range(std::size_t{2}, std::size_t{1} << 30));
    app.add_option("--evictor", words.evictor,
                   "Which thread evicts in faultline's pager: faulting_thread or background")
        ->check(CLI::IsMember({"faulting_thread", "background"}))
        ->capture_default_str();
    app.add_option("--frame-of-staged", words.frame_of_staged,
                   "A staged page's frame moves, is copied, or stays (eviction move; copy; guard, protect)")
        ->check(CLI::IsMember({"moves", "copied", "stays"}))
        ->capture_default_str();
    app.add_option("--protected-block", options.protected_block,
                   "Pages that eviction write-protects around each victim; a write to them is a reference. 0: none")
        ->check(CLI::Range(std::size_t{0}, std::size_t{1} << 20))
        ->capture_default_str();
    app.add_option("--warm-up", options.warm_up, "Percent of the references that are not counted")
        ->check(CLI::Range(0U, 99U))
        ->capture_default_str();
    const auto add_cost = [&](const char* option, double& value, const char* what) {
        app.add_option(option, value, what)->check(CLI::NonNegativeNumber)->capture_default_str();
    };
    add_cost("--file-us", options.file_us, "Microseconds of a hard fault, file store");
    add_cost("--compressed-us", options.compressed_us, "The same, compressed store");
    add_cost("--soft-us", options.soft_us, "Microseconds of a soft fault");
    add_cost("--unmap-us", options.unmap_us, "Microseconds to take one page off the view");
    add_cost("--protection-us", options.protection_us, "Microseconds of a write to a protected page");
}

void add_files(CLI::App& app, Options& options, Words& words) {
    app.add_option("--json", options.json, "Write all counts to this file, too")->type_name("FILE");
    app.add_option("--csv", options.csv, "Write all counts to this file as comma-separated lines")->type_name("FILE");
    const std::string group = "import";
    CLI::Option* const import =
        app.add_option("--import-lackey", options.import_lackey,
                       "Make a trace of what `valgrind --tool=lackey --trace-mem=yes` printed; - is standard input")
            ->type_name("FILE")
            ->group(group);
    CLI::Option* const output =
        app.add_option("--output", options.output, "The trace file to write")->type_name("TRACE")->group(group);
    import->needs(output);
    output->needs(import);
    faultline::run::add_size(app, "--page-size", options.page_bytes, {16, std::size_t{1} << 30, "16 to 1G"},
                             "Bytes of a page of the imported trace")
        ->group(group);
    app.add_flag("--instructions", words.instructions, "Instruction fetches, too")->group(group);
}

template <typename Known>
void refuse_unknown(const char* option, const std::vector<std::string>& names, Known known) {
    for (const std::string& name : names) {
        if (!known(name)) throw CLI::ValidationError{option, "unknown name '" + name + "'; --list prints all names"};
    }
}

void interpret(const CLI::App& app, const Words& words, Options& options) {
    if (words.suite == "tuning") options.suites = {Suite::tuning};
    if (words.suite == "held-out") options.suites = {Suite::held_out};
    if (words.suite == "fresh") options.suites = {Suite::fresh};
    if (words.evictor == "background") options.evictor = EvictorKind::background;
    if (words.frame_of_staged == "copied") options.frame_of_staged = FrameOfStaged::copied;
    if (words.frame_of_staged == "stays") options.frame_of_staged = FrameOfStaged::stays;
    if (words.instructions) options.instructions = Instructions::include;
    if (words.smoke && app.count("--references") == 0) options.references = 10'000;
    if (words.smoke && app.count("--frames") == 0) options.frames = 300;
    if (!std::has_single_bit(options.page_bytes)) throw CLI::ValidationError{"--page-size", "must be a power of two"};
    refuse_unknown("--workloads", options.workloads,
                   [](const std::string& name) { return find_workload(name) != nullptr; });
    refuse_unknown("--policies", options.policies,
                   [](const std::string& name) { return find_contestant(name) != nullptr; });
}

void load(const std::vector<std::string>& plugins) {
    try {
        for (const std::string& path : plugins) add_plugin(path);
    } catch (const std::runtime_error& error) {
        throw CLI::ValidationError{"--plugin", error.what()};
    }
}

[[noreturn]] void list_and_end() {
    std::printf("workloads\n");
    for (const Workload& one : workloads()) std::printf("  %-20s %s\n", one.name.data(), one.what.data());
    std::printf("policies\n");
    for (const Contestant& one : contestants()) std::printf("  %-20s %s\n", one.name.c_str(), one.what.c_str());
    std::exit(0);
}

}  // namespace

Options parse_options(int argc, char** argv) {
    Options options;
    Words words;
    CLI::App app{kDescription, "policy_replay"};
    add_what(app, options, words);
    add_conditions(app, options, words);
    add_files(app, options, words);
    try {
        app.parse(argc, argv);
        load(words.plugins);
        if (words.list) list_and_end();
        interpret(app, words, options);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error));
    }
    return options;
}

}  // namespace bench
