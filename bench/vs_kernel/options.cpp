// The command line of vs_kernel.
#include "vs_kernel/options.hpp"

#include <algorithm>
#include <limits>

#include "run/command_options.hpp"
#include "vs_kernel/workload.hpp"

namespace bench {
namespace {

namespace run = faultline::run;

// --smoke changes only options that the command line left at their defaults.
void make_small(const CLI::App& app, Options& options) {
    const auto absent = [&app](const char* name) { return app.count(name) == 0; };
    // A sweep is six to ten runs.
    const std::size_t size = absent("--sweep") ? std::size_t{32} << 20 : std::size_t{8} << 20;
    if (absent("--size")) options.size = size;
    if (absent("--resident")) options.resident = size / 4;
    if (absent("--seconds")) options.seconds = 0.1;
    if (absent("--warm-up")) options.warm_up = 0.0;
    if (absent("--rounds")) options.rounds = 1;
}

std::vector<Mode> modes_named(const std::vector<std::string>& names) {
    std::vector<Mode> modes;
    for (const std::string& name : names) {
        const Mode* const mode = find_mode(name);
        if (mode == nullptr) throw CLI::ValidationError{"--modes", "no mode is called '" + name + "'"};
        modes.push_back(*mode);
    }
    return modes;
}

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
    return text;
}

std::vector<std::string> peers_named(const Program& program, const std::vector<std::string>& names) {
    std::vector<std::string> peers;
    for (const std::string& name : names) {
        if (name == "none") continue;
        if (std::find(program.peers.begin(), program.peers.end(), name) == program.peers.end()) {
            throw CLI::ValidationError{"--peers", "no peer is called '" + name + "'"};
        }
        peers.push_back(name);
    }
    return peers;
}

void refuse_nonsense(const Options& options) {
    if (options.size == 0 || options.size % options.page_size != 0) {
        throw CLI::ValidationError{"--size", "must be a multiple of the page size, and not 0"};
    }
    const std::size_t least_resident = options.sweep == Sweep::resident ? options.size / 10 : options.resident;
    if (least_resident < options.page_size * 8) {
        throw CLI::ValidationError{options.sweep == Sweep::resident ? "--size" : "--resident",
                                   "what is resident must hold 8 pages"};
    }
    if (options.seconds <= 0) throw CLI::ValidationError{"--seconds", "must be above 0"};
    if (options.warm_up < 0) throw CLI::ValidationError{"--warm-up", "must not be negative"};
    // A write adds to the upper half of a word; see workload.cpp.
    if (options.size >> 32 >= faultline::kBasePageBytes) throw CLI::ValidationError{"--size", "must be below 16T"};
}

// Options that CLI11 fills in as text and flags, before they become parts of `Options`.
struct Words {
    std::vector<std::string> modes{"r", "z", "s", "n", "rw", "zw", "sw"};
    std::string sweep = "none";
    bool no_read_ahead = false;
    bool no_background_evictor = false;
    bool smoke = false;
};

constexpr run::SizeRange kAnySize{0, std::numeric_limits<std::size_t>::max(), "any size"};

void add_run_options(CLI::App& app, const Program& program, Options& options, Words& words) {
    run::add_size(app, "--size", options.size, kAnySize, "Bytes of the region");
    run::add_size(app, "--resident", options.resident, kAnySize, "Bytes of it that may be in memory");
    app.add_option("--modes", words.modes,
                   "Which of r,z,s,n,rw,zw,sw: random, zipf, sequential, random named ahead; w: read-modify-write")
        ->delimiter(',');
    app.add_option("--peers", options.peers, "Which of " + joined(program.peers) + "; or none")->delimiter(',');
    app.add_option("--seconds", options.seconds, "Length of one round")->capture_default_str();
    app.add_option("--warm-up", options.warm_up,
                   "Seconds before a mode's first round, not counted (a fifth of a round)");
    app.add_option("--rounds", options.rounds, "Rounds of each mode and system")
        ->check(CLI::Range(1U, 1000U))
        ->capture_default_str();
    app.add_option("--threads", options.threads, "Touching threads")
        ->check(CLI::Range(1U, 1024U))
        ->capture_default_str();
    app.add_option("--sweep", words.sweep,
                   "resident: all at 10,20..100% of the size resident; threads: all with 1,2,4..32 threads")
        ->check(CLI::IsMember({"none", "resident", "threads"}))
        ->capture_default_str();
    app.add_option("--named-at-once", options.named_at_once, "Pages that mode n announces at once, two batches ahead")
        ->check(CLI::Range(1U, 65536U))
        ->capture_default_str();
    app.add_option("--swap-dir", options.swap_directory, "Directory of every swap file")
        ->check(CLI::ExistingDirectory)
        ->capture_default_str();
    app.add_option("--json", options.json, "Write the results to this file, too")->type_name("FILE");
    app.add_flag("--smoke", words.smoke, "Tiny sizes, one short round, to check that it works");
}

void add_faultline_options(CLI::App& app, Options& options, Words& words) {
    const std::string group = "faultline";
    run::add_choice(app, "--delivery", options.delivery, "How faults arrive")->group(group);
    run::add_choice(app, "--replacement", options.replacement, "Which page is evicted")->group(group);
    run::add_choice(app, "--eviction", options.eviction, "How a page is evicted")->group(group);
    run::add_size(app, "--page-size", options.page_size,
                  {faultline::kBasePageBytes, faultline::kLargestPageBytes, "4K to 2M"},
                  "Bytes that one fault reads; a touch is of 4K in any case")
        ->group(group);
    run::add_size(app, "--compressed", options.compressed, kAnySize,
                  "Memory for compressed pages, on top of --resident; 0: none")
        ->group(group);
    app.add_flag("--same-total", options.same_total, "Let peers have the bytes of --compressed resident, too")
        ->group(group);
    app.add_flag("--no-read-ahead", words.no_read_ahead, "Do not read neighbours ahead")->group(group);
    app.add_flag("--no-background-evictor", words.no_background_evictor, "Evict on the faulting threads only")
        ->group(group);
}

void interpret(const Program& program, const Words& words, Options& options) {
    options.modes = modes_named(words.modes);
    options.peers = peers_named(program, options.peers);
    for (const Sweep sweep : {Sweep::resident, Sweep::threads}) {
        if (words.sweep == name(sweep)) options.sweep = sweep;
    }
    options.read_ahead = !words.no_read_ahead;
    options.background_evictor = !words.no_background_evictor;
}

}  // namespace

std::size_t named_at_once(const Options& options) noexcept {
    // The batch in use and those announced after it, for every thread.
    const std::size_t fitting = options.resident / kTouchedPageBytes / (8 * options.threads);
    return std::clamp<std::size_t>(fitting, 1, options.named_at_once);
}

Options parse_options(const Program& program, int argc, char** argv) {
    Options options;
    options.peers = program.peers;
    Words words;
    CLI::App app{program.description, program.name};
    add_run_options(app, program, options, words);
    add_faultline_options(app, options, words);
    try {
        app.parse(argc, argv);
        if (app.count("--warm-up") == 0) options.warm_up = options.seconds / 5;
        if (words.smoke) make_small(app, options);
        interpret(program, words, options);
        refuse_nonsense(options);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error));
    }
    return options;
}

}  // namespace bench
