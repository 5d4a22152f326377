#include "sort/options.hpp"

#include "support/command_line.hpp"

#include <CLI/CLI.hpp>

#include <optional>

namespace faultline::demo::sort {
std::optional<Options> parse_options(int argc, const char* const* argv) {
    Options options;
    CLI::App app{"Sorts the lines of a text file bytewise, as LC_ALL=C sort does, within a limit of memory"};
    app.add_option("input,--input", options.input, "The file to sort")->required()->type_name("FILE");
    app.add_option("output,--output", options.output, "Where the sorted lines go; may be the input")
        ->required()
        ->type_name("FILE");
    add_pager_options(app, options.pager);
    if (!parse_command_line(app, argc, argv)) return std::nullopt;
    return options;
}

}  // namespace faultline::demo::sort
