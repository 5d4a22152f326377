#include "storm/options.hpp"

#include "support/command_line.hpp"

#include <CLI/CLI.hpp>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>

namespace faultline::demo::storm {
namespace {

Mode mode_named(const std::string& name) {
    if (name == "r") return Mode::read;
    return name == "w" ? Mode::write : Mode::read_write;
}

/// Checked here, not by the parser, which converts negative numbers to large ones and rejects the largest of those.
std::uint64_t parse_seed(const std::string& text) {
    std::uint64_t seed = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, seed);
    if (error != std::errc{} || stop != end) {
        throw CLI::ValidationError("--seed", "'" + text + "' is not a number from 0 to 2^64 - 1");
    }
    return seed;
}

}  // namespace

std::optional<Options> parse_options(int argc, const char* const* argv) {
    Options options;
    options.seed = std::random_device{}();
    CLI::App app{"Reads and writes pages at random in a region larger than its memory, checking every byte"};
    add_size(app, "--size", options.size, "Size of the region");
    add_pager_options(app, options.pager);
    app.add_option("--threads", options.threads, "Threads that visit pages")
        ->check(CLI::Range(1U, 4096U))
        ->capture_default_str();
    app.add_option("--seconds", options.seconds, "Duration of the storm")
        ->check(CLI::Range(0.0, 1e7))
        ->capture_default_str();
    app.add_option("--mode", options.mode_name, "r: read, w: overwrite, rw: both")
        ->check(CLI::IsMember({"r", "w", "rw"}))
        ->capture_default_str();
    app.add_option_function<std::string>(
           "--seed", [&options](const std::string& text) { options.seed = parse_seed(text); },
           "Seed of contents and visits (default: a new one)")
        ->type_name("N");
    app.add_option("--json", options.json, "Write the results to this file as well")->type_name("FILE");
    if (!parse_command_line(app, argc, argv)) return std::nullopt;
    if (!std::isfinite(options.seconds)) throw std::invalid_argument("--seconds must be a number");
    options.mode = mode_named(options.mode_name);
    return options;
}

}  // namespace faultline::demo::storm
