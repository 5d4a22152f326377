// The command line of vs_kernel.
#include "vs_kernel/options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <initializer_list>

namespace bench {
namespace {

constexpr const char* kDescription =
    "The same work on faultline and on the kernel's own paging, under the same memory limit, in one run.\n"
    "Rounds of the two systems alternate; the table compares medians. Set-up of the kernel's side (memory cgroup,\n"
    "swap file, zram device) needs root; a peer that cannot be had is skipped with the reason.";

// --smoke only lowers what the command line left at its default.
void make_small(const CLI::App& app, Options& options) {
    const auto absent = [&app](const char* name) { return app.count(name) == 0; };
    if (absent("--size")) options.size = std::size_t{32} << 20;
    if (absent("--resident")) options.resident = std::size_t{8} << 20;
    if (absent("--seconds")) options.seconds = 0.2;
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

std::vector<std::string> peers_named(const std::vector<std::string>& names) {
    std::vector<std::string> peers;
    for (const std::string& name : names) {
        if (name == "none") continue;
        if (name != "swap" && name != "mmap" && name != "zram") {
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
    if (options.resident < options.page_size * 8) throw CLI::ValidationError{"--resident", "must hold 8 pages"};
    if (options.seconds <= 0) throw CLI::ValidationError{"--seconds", "must be above 0"};
    if (options.warm_up < 0) throw CLI::ValidationError{"--warm-up", "must not be negative"};
    // A write is counted in the upper half of a word; see workload.cpp.
    if (options.size >> 32 >= faultline::kBasePageBytes) throw CLI::ValidationError{"--size", "must be below 16T"};
}

// What CLI11 fills in as text and flags, before it becomes a part of `Options`.
struct Words {
    std::vector<std::string> modes{"r", "z", "s", "rw", "zw", "sw"};
    std::string delivery = "uffd_signal";
    std::string replacement = "second_chance";
    std::string eviction = "automatic";
    bool no_read_ahead = false;
    bool no_background_evictor = false;
    bool smoke = false;
};

// "256M", "4K", "1G": powers of 1024.
CLI::Validator size_value() {
    CLI::Validator validator = CLI::AsSizeValue{false};
    return validator.description("SIZE");
}

void add_run_options(CLI::App& app, Options& options, Words& words) {
    app.add_option("--size", options.size, "Bytes of the region (1G)")->transform(size_value());
    app.add_option("--resident", options.resident, "Bytes of it that may be in memory (256M)")->transform(size_value());
    app.add_option("--modes", words.modes, "Which of r,z,s,rw,zw,sw: random, zipf, sequential; w: read-modify-write")
        ->delimiter(',');
    app.add_option("--peers", options.peers, "Which of swap,mmap,zram; or none")->delimiter(',');
    app.add_option("--seconds", options.seconds, "Length of one round")->capture_default_str();
    app.add_option("--warm-up", options.warm_up,
                   "Seconds before a mode's first round, not counted (a fifth of a round)");
    app.add_option("--rounds", options.rounds, "Rounds of each mode and system")
        ->check(CLI::Range(1U, 1000U))
        ->capture_default_str();
    app.add_option("--threads", options.threads, "Touching threads")
        ->check(CLI::Range(1U, 1024U))
        ->capture_default_str();
    app.add_option("--swap-dir", options.swap_directory, "Directory of every swap file")
        ->check(CLI::ExistingDirectory)
        ->capture_default_str();
    app.add_option("--json", options.json, "Write the results to this file, too")->type_name("FILE");
    app.add_flag("--smoke", words.smoke, "Tiny sizes, one short round: whether it works, not how fast");
}

void add_faultline_options(CLI::App& app, Options& options, Words& words) {
    const std::string group = "faultline";
    app.add_option("--delivery", words.delivery, "How faults arrive")
        ->check(CLI::IsMember({"automatic", "uffd_threads", "uffd_signal", "sigsegv"}))
        ->capture_default_str()
        ->group(group);
    app.add_option("--replacement", words.replacement, "Which page leaves")
        ->check(CLI::IsMember({"fifo", "second_chance"}))
        ->capture_default_str()
        ->group(group);
    app.add_option("--eviction", words.eviction, "How a page leaves")
        ->check(CLI::IsMember({"automatic", "move", "copy", "guard", "protect"}))
        ->capture_default_str()
        ->group(group);
    app.add_option("--page-size", options.page_size, "Moved by one fault (4K); a touch stays one of 4K")
        ->transform(size_value())
        ->check(CLI::Range(faultline::kBasePageBytes, faultline::kLargestPageBytes).description(""))
        ->group(group);
    app.add_flag("--no-read-ahead", words.no_read_ahead, "Do not read neighbours ahead")->group(group);
    app.add_flag("--no-background-evictor", words.no_background_evictor, "Evict on the faulting threads only")
        ->group(group);
}

// The value whose name is `word`. The word is known to be among the names: CLI11 has checked it.
template <typename Value>
Value named(const std::string& word, std::initializer_list<Value> values) {
    return *std::find_if(values.begin(), values.end(), [&](Value value) { return word == faultline::name(value); });
}

void interpret(const Words& words, Options& options) {
    using faultline::Delivery;
    using faultline::Eviction;
    using faultline::Replacement;
    options.modes = modes_named(words.modes);
    options.peers = peers_named(options.peers);
    options.delivery =
        named(words.delivery, {Delivery::automatic, Delivery::uffd_threads, Delivery::uffd_signal, Delivery::sigsegv});
    options.replacement = named(words.replacement, {Replacement::fifo, Replacement::second_chance});
    options.eviction = named(words.eviction,
                             {Eviction::automatic, Eviction::move, Eviction::copy, Eviction::guard, Eviction::protect});
    options.read_ahead = !words.no_read_ahead;
    options.background_evictor = !words.no_background_evictor;
}

}  // namespace

Options parse_options(int argc, char** argv) {
    Options options;
    Words words;
    CLI::App app{kDescription, "vs_kernel"};
    add_run_options(app, options, words);
    add_faultline_options(app, options, words);
    try {
        app.parse(argc, argv);
        if (app.count("--warm-up") == 0) options.warm_up = options.seconds / 5;
        if (words.smoke) make_small(app, options);
        interpret(words, options);
        refuse_nonsense(options);
    } catch (const CLI::ParseError& error) {
        std::exit(app.exit(error));
    }
    return options;
}

}  // namespace bench
