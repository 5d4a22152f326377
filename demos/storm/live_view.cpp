#include "storm/live_view.hpp"

#include "display/bars.hpp"
#include "display/format.hpp"
#include "support/live_line.hpp"
#include "support/stats_math.hpp"

#include <faultline/pager.hpp>
#include <faultline/region.hpp>
#include <faultline/stats.hpp>

#include <cstddef>
#include <string>

namespace faultline::demo::storm {
namespace {

/// Fits 80 columns and leaves some room for the bar.
std::string terse_text(double seconds, const PagerStats& stats, const RateWindow::Rates& rates) {
    return display::printed("%3.0fs  faults %5s/s  evict %5s/s  in %4s/s  out %4s/s  res %s", seconds,
                            display::format_rate(rates.faults).c_str(), display::format_rate(rates.evictions).c_str(),
                            display::format_bytes_short(rates.bytes_read).c_str(),
                            display::format_bytes_short(rates.bytes_written).c_str(),
                            display::format_bytes_short(static_cast<double>(stats.frames_used)).c_str());
}

std::string full_text(double seconds, const PagerStats& stats, const RateWindow::Rates& rates) {
    return display::printed("%.1f s: %s faults/s, %s evictions/s, read %s/s, written %s/s, resident %s", seconds,
                            display::format_rate(rates.faults).c_str(), display::format_rate(rates.evictions).c_str(),
                            display::format_bytes(rates.bytes_read).c_str(),
                            display::format_bytes(rates.bytes_written).c_str(),
                            display::format_bytes(stats.frames_used).c_str());
}

}  // namespace

LiveView::LiveView(const Pager& pager, const Region& region, LiveLine& line)
    : pager_{pager}, region_{region}, line_{line} {
    static_cast<void>(rates_.update(pager.stats()));  // the baseline of the rates
}

void LiveView::show(double seconds) {
    const PagerStats stats = pager_.stats();
    const RateWindow::Rates rates = rates_.update(stats);
    const bool terse = line_.terminal().interactive;
    line_.show(terse ? terse_text(seconds, stats, rates) : full_text(seconds, stats, rates),
               [this](std::size_t columns) { return residency(columns); });
}

std::string LiveView::residency(std::size_t columns) {
    if (columns < 3) return {};
    cells_.assign(columns - 2, {});
    region_.residency(cells_);
    return display::printed("[%s]", display::residency_bar(line_.terminal(), cells_).c_str());
}

}  // namespace faultline::demo::storm
