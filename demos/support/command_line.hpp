// What the command lines of demos and benchmarks have in common: the pager's options, sizes, and how a program ends.
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

/// The pager could not start because this kernel or this user may not do what its delivery needs.
class NotPermitted : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The options `--resident --compressed --record --page-size --delivery --eviction --replacement --swap`.
struct PagerOptions {
    std::size_t resident = Config{}.resident_limit;  ///< In bytes.
    std::size_t compressed = 0;                      ///< In bytes; 0: no compressed pages.
    std::filesystem::path record{};                  ///< Of the faults; empty: none.
    std::size_t page_size = kBasePageBytes;          ///< In bytes.
    std::string delivery = name(Config{}.delivery);
    std::string eviction = name(Config{}.eviction);
    std::string replacement = name(Config{}.replacement);
    std::string swap_directory{};

    [[nodiscard]] Config config() const;
    [[nodiscard]] RegionOptions region() const { return {.page_size = page_size}; }
};

/// Adds a size like "256M" to `app`, shown with its default.
CLI::Option* add_size(CLI::App& app, const std::string& option, std::size_t& bytes, const std::string& description);

/// Adds the pager's options to `app`; `options`, with its defaults set, must live until the line is parsed.
void add_pager_options(CLI::App& app, PagerOptions& options);

/// Parses the line. Returns false when it asked for help or the version, which are then printed; throws
/// std::invalid_argument when it is wrong.
[[nodiscard]] bool parse_command_line(CLI::App& app, int argc, const char* const* argv);

/// Opens a pager whose warnings pass above `line`, which must outlive it. Throws NotPermitted on EPERM and ENOSYS,
/// else std::system_error.
[[nodiscard]] Pager open_pager(Config config, LiveLine& line);

/// Calls `program` and turns what it throws into a message on standard error and an exit code (exit_code.hpp). Output
/// that could not be written makes a good ending a bad one.
[[nodiscard]] int run_program(const std::string& program_name, const std::function<int()>& program);

}  // namespace faultline::demo
