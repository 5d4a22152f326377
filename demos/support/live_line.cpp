#include "support/live_line.hpp"

#include "display/terminal.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>

namespace faultline::demo {
namespace {

constexpr std::chrono::milliseconds kPlainPeriod{2000};
constexpr std::size_t kNarrowestBar = 8;  // a narrower bar shows nothing useful
constexpr std::size_t kPlainBar = 32;     // if the width is unknown

void write_line(std::FILE* stream, std::string_view line) {
    // Errors are ignored here: they set ferror(), which the program checks before it ends.
    static_cast<void>(std::fwrite(line.data(), 1, line.size(), stream));
    static_cast<void>(std::fputc('\n', stream));
    static_cast<void>(std::fflush(stream));
}

}  // namespace

LiveLine::LiveLine(std::FILE* stream, std::chrono::milliseconds quiet_for)
    : stream_{stream},
      terminal_{display::Terminal::of(stream)},
      period_{terminal_.interactive ? tick() : kPlainPeriod},
      next_{Clock::now() + std::max(quiet_for, terminal_.interactive ? tick() : kPlainPeriod)} {}

LiveLine::~LiveLine() { clear(); }

bool LiveLine::due() const {
    const std::lock_guard lock{mutex_};
    return Clock::now() >= next_;
}

void LiveLine::show(std::string_view text, const Bar& bar, std::size_t widest) {
    const std::string line =
        terminal_.interactive ? fitted(text, bar, widest) : std::string{text} + "  " + bar(std::min(kPlainBar, widest));
    const std::lock_guard lock{mutex_};
    next_ = Clock::now() + period_;
    if (!terminal_.interactive) {
        write_line(stream_, line);
        return;
    }
    drawn_ = true;
    static_cast<void>(std::fprintf(stream_, "\r%s\x1b[K", line.c_str()));
    static_cast<void>(std::fflush(stream_));
}

std::string LiveLine::fitted(std::string_view text, const Bar& bar, std::size_t widest) const {
    // One column less than the width: some terminals wrap after the last column.
    const std::size_t columns = display::terminal_columns(stream_) - 1;
    std::string line{text.substr(0, columns)};
    if (line.size() + 2 + kNarrowestBar > columns) return line;
    return line += "  " + bar(std::min(columns - line.size() - 2, widest));
}

void LiveLine::clear() {
    const std::lock_guard lock{mutex_};
    erase();
}

void LiveLine::print(std::string_view line) {
    const std::lock_guard lock{mutex_};
    erase();
    write_line(stream_, line);
}

void LiveLine::warn(std::string_view line) {
    const std::lock_guard lock{mutex_};
    erase();
    write_line(stderr, line);
}

void LiveLine::erase() {
    if (!drawn_) return;
    drawn_ = false;
    static_cast<void>(std::fputs("\r\x1b[K", stream_));
    static_cast<void>(std::fflush(stream_));
}

}  // namespace faultline::demo
