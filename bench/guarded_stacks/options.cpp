#include "guarded_stacks/options.hpp"

#include "run/command_options.hpp"

#include <string>

namespace bench {

namespace run = faultline::run;

int parse(int argc, char** argv, StackOptions& options) {
    CLI::App app{
        "What guarded stacks cost: to make one, to switch to it, to survive its overflow; and fibers on many of them,\n"
        "more than the memory limit holds. Sizes take K, M, G. Fails when a fiber finds its stack changed."};
    bool smoke = false;
    constexpr run::SizeRange kStackRange{1, std::size_t{1} << 30, "1 to 1G"};
    app.add_option("--fibers", options.fibers, "How many fibers sleep at the same time")->capture_default_str();
    run::add_size(app, "--stack", options.stack_bytes, kStackRange, "Maximum size of each stack");
    run::add_size(app, "--used", options.used_bytes, {0, std::size_t{256} << 10, "0 to 256K"},
                  "Bytes that each fiber keeps on its stack");
    run::add_size(app, "--limit", options.limit_bytes, run::Settings::kResidentRange, "The pager's resident limit");
    run::add_size(app, "--compressed", options.compressed_bytes, run::Settings::kCompressedRange,
                  "Additional memory for compressed pages");
    app.add_option("--rounds", options.rounds, "How often each fiber is resumed")->capture_default_str();
    app.add_option("--repetitions", options.repetitions, "How often each single step is measured")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    run::add_choice(app, "--delivery", options.delivery, "How faults arrive");
    app.add_option("--swap-dir", options.swap_directory, "Directory of the swap file")->check(CLI::ExistingDirectory);
    app.add_flag("--smoke", smoke, "Small numbers, to check that it works");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    }
    if (smoke) {
        options.fibers = 1000;
        options.limit_bytes = std::size_t{4} << 20;
        options.repetitions = 50;
    }
    return -1;
}

}  // namespace bench
