// LiveLine: one line at the bottom of the output that says how things go. On a terminal it is redrawn in place several
// times a second; elsewhere it is a plain line every two seconds. Messages pass above it.
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

/// Safe to use from any thread, but not to be fed from managed memory: it makes system calls.
class LiveLine {
public:
    /// Draws a bar exactly that many columns wide.
    using Bar = std::function<std::string(std::size_t columns)>;

    /// Draws on `stream`, the first time once `quiet_for` has passed: short runs then print their result only.
    explicit LiveLine(std::FILE* stream = stdout, std::chrono::milliseconds quiet_for = std::chrono::milliseconds{0});
    ~LiveLine();
    LiveLine(const LiveLine&) = delete;
    LiveLine& operator=(const LiveLine&) = delete;

    [[nodiscard]] const display::Terminal& terminal() const noexcept { return terminal_; }

    /// How long to wait between two looks at `due()`.
    [[nodiscard]] static constexpr std::chrono::milliseconds tick() noexcept { return std::chrono::milliseconds{125}; }

    /// Whether it is time to draw again.
    [[nodiscard]] bool due() const;

    /// Draws `text` (ASCII, cut to fit) and behind it a bar as wide as there is room for, up to `widest` columns.
    void show(std::string_view text, const Bar& bar, std::size_t widest = 64);

    /// Takes the line away, and lets the next one be drawn at once.
    void clear();

    /// Prints a finished line on the stream, above the live one.
    void print(std::string_view line);

    /// Prints a finished line on standard error, above the live one.
    void warn(std::string_view line);

private:
    using Clock = std::chrono::steady_clock;

    [[nodiscard]] std::string fitted(std::string_view text, const Bar& bar, std::size_t widest) const;
    void erase();

    std::FILE* stream_;
    display::Terminal terminal_;
    std::chrono::milliseconds period_;
    mutable std::mutex mutex_;  // guards the stream and the two below
    Clock::time_point next_;
    bool drawn_ = false;
};

}  // namespace faultline::demo
