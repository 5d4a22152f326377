// LiveView: a line each second that says what all programs under `faultline run` are doing, as vmstat(8) does, with a
// map of the largest one's heap behind it. It makes lines; when, and where they go, is the caller's business.
#pragma once

#include "display/terminal.hpp"
#include "run/status_file.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace faultline::tool {

/// Used by one thread.
class LiveView {
public:
    static constexpr unsigned kLinesPerHeader = 20;

    explicit LiveView(const display::Terminal& terminal) noexcept : terminal_{terminal} {}

    /// The next line, ended, with the header in front where one is due. `columns`: how wide the terminal is.
    [[nodiscard]] std::string next(const run::SeenPrograms& seen, std::chrono::steady_clock::time_point now,
                                   std::size_t columns);

private:
    struct Look {
        std::chrono::steady_clock::time_point at;
        run::ProgramCounters counters;
    };

    [[nodiscard]] std::string figures(const run::SeenPrograms& seen, double seconds,
                                      const run::ProgramCounters& change);
    [[nodiscard]] std::string map(const run::SeenPrograms& seen, std::size_t columns) const;

    display::Terminal terminal_;
    std::optional<Look> before_;
    unsigned lines_ = 0;
};

}  // namespace faultline::tool
