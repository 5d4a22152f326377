#include "anatomy/options.hpp"

#include <CLI/CLI.hpp>

namespace faultline::demo::anatomy {

std::optional<Options> parse_options(int argc, const char* const* argv) {
    Options options;
    options.pager.resident = std::size_t{1} << 20;
    CLI::App app{"Draws the anatomy of a program in an address space of its own, and touches it here and there"};
    add_pager_options(app, options.pager);
    app.add_option("--program", options.program, "The executable whose parts are laid out (it does not run)")
        ->type_name("FILE")
        ->capture_default_str();
    app.add_flag("--fixed", options.fixed, "No random places: the same addresses each time");
    if (!parse_command_line(app, argc, argv)) return std::nullopt;
    return options;
}

}  // namespace faultline::demo::anatomy
