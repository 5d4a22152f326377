// LiveView: a line each second about all programs under `faultline run`, like vmstat(8), with a map of the largest
// heap.
// It only makes the lines. The caller decides when, and where they go.
#pragma once

#include "display/terminal.hpp"
#include "run/status_file.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace faultline::tool {

/// For one thread.
class LiveView {
public:
    static constexpr unsigned kLinesPerHeader = 20;

    explicit LiveView(const display::Terminal& terminal) noexcept : terminal_{terminal} {}

    /// Returns the next line, newline included, after the header if one is due. `columns`: the width of the terminal.
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
