#include "heap_throughput/options.hpp"

#include "run/command_options.hpp"

#include <string>

namespace bench {

int parse(int argc, char** argv, HeapOptions& options) {
    CLI::App app{
        "How many blocks a second a heap in managed memory hands out and takes back while everything fits, against\n"
        "glibc's and, where they are installed, jemalloc's and mimalloc's. Rounds alternate; medians are printed."};
    bool smoke = false;
    app.add_option("--seconds", options.seconds, "How long a workload runs in a round")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--rounds", options.rounds, "How many rounds")->check(CLI::PositiveNumber)->capture_default_str();
    app.add_option("--threads", options.threads, "Threads of the workloads that have several")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    faultline::run::add_size(app, "--limit", options.limit_bytes, faultline::run::Settings::kResidentRange,
                             "The pager's resident limit");
    faultline::run::add_choice(app, "--delivery", options.delivery, "How faults arrive");
    app.add_option("--peers", options.peers, "Shared libraries with an allocator")->delimiter(',');
    app.add_option("--only", options.only, "Run this workload only");
    app.add_flag("--processor-time", options.processor_time,
                 "Count seconds that the process runs, of all threads: for a machine that others use, too");
    app.add_flag("--smoke", smoke, "Little of everything, to check that it works");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    }
    if (smoke) {
        options.seconds = 0.01;
        options.rounds = 1;
        options.limit_bytes = std::size_t{256} << 20;
    }
    return -1;
}

}  // namespace bench
