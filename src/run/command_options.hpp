// Adds options to a command line of CLI11, for the command, the demos and the benchmarks alike: sizes such as "64M" and
// names such as "uffd_signal". The parsers are the ones that read the environment variables. Included only by files
// that parse a command line, because CLI11's templates are slow to compile.
#pragma once

#include "run/settings.hpp"
#include "run/size_text.hpp"

#include <faultline/names.hpp>

#include <CLI/CLI.hpp>

#include <cstddef>
#include <string>

namespace faultline::run {

/// Returns all names of an enumeration with `between` between them.
template <NamedEnum Enum>
[[nodiscard]] std::string all_names(const std::string& between) {
    std::string text;
    for (const char* const name : names<Enum>()) text += (text.empty() ? "" : between) + name;
    return text;
}

/// Adds an option for a size in `range`. `bytes` has the default, which help shows, and must live until the line is
/// parsed.
inline CLI::Option* add_size(CLI::App& app, const std::string& option, std::size_t& bytes, const SizeRange& range,
                             const std::string& description) {
    const auto parse = [&bytes, option, range](const std::string& text) {
        const ParsedSize size = parse_size(text);
        if (size.problem != nullptr) throw CLI::ValidationError(option, "'" + text + "' " + size.problem);
        if (!range.contains(size.bytes)) {
            throw CLI::ValidationError(option, "'" + text + "' is outside of " + std::string{range.words});
        }
        bytes = size.bytes;
    };
    return app.add_option_function<std::string>(option, parse, description)
        ->type_name("SIZE")
        ->default_str(size_text(bytes));
}

/// Adds an option for the name of a value. `value` has the default, which help shows, and must live until the line is
/// parsed.
template <NamedEnum Enum>
CLI::Option* add_choice(CLI::App& app, const std::string& option, Enum& value, const std::string& description) {
    const auto parse_name = [&value, option](const std::string& text) {
        const auto named = parse<Enum>(text);
        if (!named) {
            throw CLI::ValidationError(option, "'" + text + "' is not one of " + all_names<Enum>(", "));
        }
        value = *named;
    };
    return app.add_option_function<std::string>(option, parse_name, description)
        ->type_name("{" + all_names<Enum>(",") + "}")
        ->default_str(to_string(value));
}

}  // namespace faultline::run
