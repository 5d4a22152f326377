// LiveLine: one line at the bottom of the output that shows progress. On a terminal it is redrawn several times a
// second; elsewhere it is a plain line every two seconds. Messages are printed above it.
#pragma once

#include "display/terminal.hpp"

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace faultline::demo {

/// Any thread may call it. Arguments must not lie in managed memory, because it makes system calls.
class LiveLine {
public:
    /// Returns a bar exactly `columns` columns wide.
    using Bar = std::function<std::string(std::size_t columns)>;

    /// Draws on `stream`, for the first time once `quiet_for` has passed, so that short runs print their result only.
    explicit LiveLine(std::FILE* stream = stdout, std::chrono::milliseconds quiet_for = std::chrono::milliseconds{0});
    ~LiveLine();
    LiveLine(const LiveLine&) = delete;
    LiveLine& operator=(const LiveLine&) = delete;

    [[nodiscard]] const display::Terminal& terminal() const noexcept { return terminal_; }

    /// Returns how long to wait between two calls of `due()`.
    [[nodiscard]] static constexpr std::chrono::milliseconds tick() noexcept { return std::chrono::milliseconds{125}; }

    /// Returns whether it is time to draw again.
    [[nodiscard]] bool due() const;

    /// Draws `text` (ASCII, truncated to fit), and behind it a bar as wide as there is room for, up to `widest`
    /// columns.
    void show(std::string_view text, const Bar& bar, std::size_t widest = 64);

    /// Removes the line, and allows the next one to be drawn at once.
    void clear();

    /// Prints a complete line on the stream, above the live one.
    void print(std::string_view line);

    /// Prints a complete line on standard error, above the live one.
    void warn(std::string_view line);

private:
    using Clock = std::chrono::steady_clock;

    [[nodiscard]] std::string fitted(std::string_view text, const Bar& bar, std::size_t widest) const;
    void erase();

    std::FILE* stream_;
    display::Terminal terminal_;
    std::chrono::milliseconds period_;
    mutable std::mutex mutex_;  // guards the stream and the two fields below
    Clock::time_point next_;
    bool drawn_ = false;
};

}  // namespace faultline::demo
