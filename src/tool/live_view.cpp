#include "tool/live_view.hpp"

#include "display/bars.hpp"
#include "display/format.hpp"
#include "tool/report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

namespace faultline::tool {
namespace {

using display::format_bytes_short;
using display::format_rate;
using display::printed;

constexpr std::size_t kNarrowestMap = 8;  // a narrower map would show nothing useful
constexpr std::size_t kWidestMap = 64;
constexpr std::size_t kPlainMap = 32;  // if the width is unknown

/// Returns the running program with the most bytes in use that has a map; null if there is none.
const run::ProgramStatus* largest(const run::SeenPrograms& seen) noexcept {
    const run::ProgramStatus* chosen = nullptr;
    const auto held = [](const run::ProgramStatus& status) {
        return status.gauges.frames_used + status.gauges.swapped_bytes;
    };
    for (const run::SeenProgram& program : seen.programs) {
        if (!program.running || program.status.map_used == 0) continue;
        if (chosen == nullptr || held(program.status) > held(*chosen)) chosen = &program.status;
    }
    return chosen;
}

/// Returns `kMapCells` cells combined to `columns`, each the sum of its cells.
std::vector<ResidencyCell> drawn_together(std::span<const ResidencyCell> cells, std::size_t columns) {
    std::vector<ResidencyCell> together(columns);
    for (std::size_t i = 0; i < cells.size(); ++i) {
        ResidencyCell& sum = together[i * columns / cells.size()];
        sum.untouched += cells[i].untouched;
        sum.resident += cells[i].resident;
        sum.dirty += cells[i].dirty;
        sum.staged += cells[i].staged;
        sum.swapped += cells[i].swapped;
    }
    return together;
}

std::string header() {
    return printed("%5s %6s %6s %6s %5s %5s %4s %5s %5s %5s", "procs", "first", "soft", "hard", "in", "out", "hit%",
                   "res", "swap", "live");
}

}  // namespace

std::string LiveView::next(const run::SeenPrograms& seen, std::chrono::steady_clock::time_point now,
                           std::size_t columns) {
    const run::ProgramCounters counters = totals_of(seen).counters;
    const Look last = before_.value_or(Look{now, {}});
    before_ = Look{now, counters};
    // The first line covers the time before it, as if that had been one second.
    const double seconds = std::chrono::duration<double>(now - last.at).count();
    std::string text = lines_++ % kLinesPerHeader == 0 ? header() + "\n" : "";
    std::string line = figures(seen, seconds > 0 ? seconds : 1, counters.since(last.counters));
    const std::size_t room = !terminal_.interactive      ? kPlainMap
                             : columns > line.size() + 3 ? std::min(columns - line.size() - 4, kWidestMap)
                                                         : 0;
    if (room >= kNarrowestMap) line += map(seen, room);
    return text + line + "\n";
}

std::string LiveView::figures(const run::SeenPrograms& seen, double seconds, const run::ProgramCounters& change) {
    const auto rate = [&](std::uint64_t count) { return format_rate(static_cast<double>(count) / seconds); };
    const auto flow = [&](std::uint64_t bytes) { return format_bytes_short(static_cast<double>(bytes) / seconds); };
    const auto size = [](std::uint64_t bytes) { return format_bytes_short(static_cast<double>(bytes)); };
    const Totals totals = totals_of(seen);
    const double hits = hit_rate(change);
    return printed("%5s %6s %6s %6s %5s %5s %4s %5s %5s %5s", format_rate(static_cast<double>(totals.running)).c_str(),
                   rate(change.first_touches).c_str(), rate(change.soft_faults + change.write_faults).c_str(),
                   rate(change.hard_faults).c_str(), flow(change.bytes_read).c_str(),
                   flow(change.bytes_written).c_str(), hits < 0 ? "-" : printed("%.0f", std::floor(hits * 100)).c_str(),
                   size(totals.gauges.frames_used).c_str(), size(totals.gauges.swapped_bytes).c_str(),
                   size(totals.gauges.live_bytes).c_str());
}

std::string LiveView::map(const run::SeenPrograms& seen, std::size_t columns) const {
    const run::ProgramStatus* const program = largest(seen);
    if (program == nullptr) return {};
    const auto cells = run::map_cells(*program);
    return " [" + display::residency_bar(terminal_, drawn_together(cells, columns)) + "]";
}

}  // namespace faultline::tool
