// Terminal: what an output stream can show. A value that is looked up once; only the width is looked up again.
// Used by the command and by the demos. It prints nothing.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace faultline::display {

struct Terminal {
    bool interactive = false;  ///< A terminal that can redraw a line; false for files, pipes and TERM=dumb.
    bool colour = false;       ///< Interactive, and NO_COLOR is not set (https://no-color.org).
    bool unicode = false;      ///< Interactive, and the locale does not name a character set other than UTF-8.

    [[nodiscard]] static Terminal of(std::FILE* stream);
};

/// Returns the columns of the terminal behind `stream`; 80 if unknown. Follows resizing.
[[nodiscard]] std::size_t terminal_columns(std::FILE* stream);

/// Foreground colours; the values are SGR numbers.
enum class Colour : unsigned char { none = 0, red = 31, green = 32, yellow = 33, cyan = 36, grey = 90 };

/// Returns `text` in `colour`; unchanged for `Colour::none`.
[[nodiscard]] std::string coloured(std::string_view text, Colour colour);

}  // namespace faultline::display
