// What the command lines of demos and benchmarks share: the pager's options, sizes, and the exit code of a program.
#pragma once

#include <faultline/config.hpp>
#include <faultline/pager.hpp>
#include <faultline/region.hpp>

#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace faultline::demo {

class LiveLine;

/// The pager could not start, because this kernel or user may not do what the delivery needs.
class NotPermitted : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The options `--resident --compressed --record --page-size --delivery --eviction --replacement --swap`.
struct PagerOptions {
    std::size_t resident = Config{}.resident_limit;  ///< The limit, in bytes.
    std::size_t compressed = 0;                      ///< Limit of compressed pages, in bytes; 0: none.
    std::filesystem::path record{};                  ///< Path of the file that records the faults; empty: none.
    std::size_t page_size = kBasePageBytes;          ///< Page size, in bytes.
    Delivery delivery = Config{}.delivery;
    Eviction eviction = Config{}.eviction;
    Replacement replacement = Config{}.replacement;
    std::string swap_directory{};

    [[nodiscard]] Config config() const;
    [[nodiscard]] RegionOptions region() const { return {.page_size = page_size}; }
};

/// Adds an option for a size like "256M" to `app`. Help shows its default.
CLI::Option* add_size(CLI::App& app, const std::string& option, std::size_t& bytes, const std::string& description);

/// Adds the pager's options to `app`. `options` holds the defaults, and must live until the line is parsed.
void add_pager_options(CLI::App& app, PagerOptions& options);

/// Parses the command line. Returns false if it asked for help or the version, which are then printed. Throws
/// std::invalid_argument for a wrong line.
[[nodiscard]] bool parse_command_line(CLI::App& app, int argc, const char* const* argv);

/// Opens a pager that prints its warnings above `line`, which must outlive it. Throws NotPermitted for EPERM and
/// ENOSYS, else std::system_error.
[[nodiscard]] Pager open_pager(Config config, LiveLine& line);

/// Calls `program`, and turns an exception into a message on standard error and an exit code (exit_code.hpp). Output
/// that could not be written turns success into failure.
[[nodiscard]] int run_program(const std::string& program_name, const std::function<int()>& program);

}  // namespace faultline::demo
