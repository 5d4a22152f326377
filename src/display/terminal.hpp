// What the stream we draw on can show. A value, looked up once; only the width is asked for again.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace faultline::display {

struct Terminal {
    bool interactive = false;  ///< A terminal that can redraw a line; false for files, pipes and TERM=dumb.
    bool colour = false;       ///< Interactive, and NO_COLOR is not set (https://no-color.org).
    bool unicode = false;      ///< Interactive, and the locale does not name another character set than UTF-8.

    [[nodiscard]] static Terminal of(std::FILE* stream);
};

/// Columns of the terminal behind `stream`; 80 when nobody knows. Follows resizing.
[[nodiscard]] std::size_t terminal_columns(std::FILE* stream);

/// Foreground colours by their SGR numbers.
enum class Colour : unsigned char { none = 0, red = 31, green = 32, yellow = 33, cyan = 36, grey = 90 };

/// `text` in `colour`, or as it is for `Colour::none`.
[[nodiscard]] std::string coloured(std::string_view text, Colour colour);

}  // namespace faultline::display
