// See progress.hpp.
#include "vs_kernel/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace bench {
namespace {

constexpr std::size_t kBarCells = 24;

bool can_redraw() {
    const char* const terminal = std::getenv("TERM");
    return ::isatty(STDERR_FILENO) == 1 && terminal != nullptr && std::strcmp(terminal, "dumb") != 0;
}

std::string bar(double part) {
    const auto cells = static_cast<std::size_t>(std::clamp(part, 0.0, 1.0) * static_cast<double>(kBarCells));
    return '[' + std::string(cells, '#') + std::string(kBarCells - cells, '.') + ']';
}

}  // namespace

Progress::Progress() : terminal_{can_redraw()} {}

void Progress::expect(double seconds) {
    expected_ = seconds;
    done_ = 0;
}

void Progress::step(const std::string& what) {
    const double part = expected_ > 0 ? done_ / expected_ : 0;
    const std::string text = point_.empty() ? what : point_ + ": " + what;
    if (!terminal_) {
        std::fprintf(stderr, "%3.0f%% %s\n", part * 100, text.c_str());
        return;
    }
    // Carriage return and "erase to the end of the line".
    std::fprintf(stderr, "\r%s %3.0f%% %.50s\x1b[K", bar(part).c_str(), part * 100, text.c_str());
    std::fflush(stderr);
    drawn_ = true;
}

void Progress::note(const std::string& text) {
    clear();
    std::fprintf(stderr, "%s\n", text.c_str());
}

void Progress::clear() {
    if (drawn_) std::fprintf(stderr, "\r\x1b[K");
    drawn_ = false;
}

}  // namespace bench
