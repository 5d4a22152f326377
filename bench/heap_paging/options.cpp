#include "heap_paging/options.hpp"

#include "run/command_options.hpp"

#include <string>

namespace bench {

int parse(int argc, char** argv, PagingOptions& options) {
    CLI::App app{
        "Programs whose objects take more than the memory they may have: a heap in managed memory against glibc's "
        "under\n"
        "kernel swap in a memory cgroup. Each program is a process of its own; the two systems take turns."};
    faultline::run::add_size(app, "--limit", options.limit_bytes, faultline::run::Settings::kResidentRange,
                             "Memory for objects");
    app.add_option("--factors", options.factors,
                   "How many times the limit the objects take; 0: only the program that frees most")
        ->delimiter(',')
        ->check(CLI::Range(0, 64));
    app.add_option("--rounds", options.rounds, "How many rounds")->check(CLI::PositiveNumber)->capture_default_str();
    app.add_option("--lookups", options.lookups, "Random lookups, and replacements, in a program")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    faultline::run::add_choice(app, "--delivery", options.delivery, "How faults arrive");
    app.add_option("--swap-dir", options.swap_directory, "Directory of both systems' swap files")
        ->check(CLI::ExistingDirectory);
    app.add_flag("--smoke", options.smoke, "Little of everything, to check that it works");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    }
    if (options.smoke) {
        options.limit_bytes = std::size_t{4} << 20;
        options.factors = {2};
        options.rounds = 1;
        options.lookups = 300;
    }
    return -1;
}

}  // namespace bench
