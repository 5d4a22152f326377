#include "display/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace faultline::display {
namespace {

std::string_view environment(const char* name) {
    const char* const value =
        std::getenv(name);  // NOLINT(concurrency-mt-unsafe): the library never sets the environment
    return value != nullptr ? value : "";
}

/// Returns true unless the locale, looked up as setlocale(3) does, names another character set. An unset locale is
/// common in containers, whose terminals use UTF-8 all the same.
bool speaks_utf8() {
    std::string locale;
    for (const char* const name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        if (locale.empty()) locale = environment(name);
    }
    std::transform(locale.begin(), locale.end(), locale.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return locale.empty() || locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
}

}  // namespace

Terminal Terminal::of(std::FILE* stream) {
    Terminal terminal;
    terminal.interactive = isatty(fileno(stream)) == 1 && environment("TERM") != "dumb";
    terminal.colour = terminal.interactive && environment("NO_COLOR").empty();
    terminal.unicode = terminal.interactive && speaks_utf8();
    return terminal;
}

std::size_t terminal_columns(std::FILE* stream) {
    winsize size{};
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

std::string coloured(std::string_view text, Colour colour) {
    if (colour == Colour::none || text.empty()) return std::string{text};
    return "\x1b[" + std::to_string(static_cast<unsigned>(colour)) + "m" + std::string{text} + "\x1b[0m";
}

}  // namespace faultline::display
