#include "sort/progress.hpp"

#include "display/bars.hpp"
#include "display/format.hpp"
#include "support/live_line.hpp"
#include "support/stats_math.hpp"

#include <faultline/pager.hpp>

#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>
#include <thread>

namespace faultline::demo::sort {

Ticker::Ticker(const Progress& progress, const Pager& pager, LiveLine& line)
    : progress_{progress}, pager_{pager}, line_{line}, thread_{[this] { run(); }} {}

Ticker::~Ticker() {
    {
        const std::lock_guard lock{mutex_};
        over_ = true;
    }
    wake_.notify_all();
    thread_.join();
    line_.clear();
}

void Ticker::run() {
    RateWindow rates;
    std::unique_lock lock{mutex_};
    while (!wake_.wait_for(lock, LiveLine::tick(), [this] { return over_; })) {
        const RateWindow::Rates now = rates.update(pager_.stats());
        if (line_.due()) show(now);
    }
}

void Ticker::show(const RateWindow::Rates& rates) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    const double fraction = progress_.fraction();
    const std::string text = display::printed(
        "%4.0fs  %-5s %3.0f%%  %5s faults/s  in %4s/s  out %4s/s", seconds, progress_.phase(), fraction * 100,
        display::format_rate(rates.faults).c_str(), display::format_bytes_short(rates.bytes_read).c_str(),
        display::format_bytes_short(rates.bytes_written).c_str());
    line_.show(
        text, [&](std::size_t columns) { return display::progress_bar(line_.terminal(), fraction, columns); }, 40);
}

}  // namespace faultline::demo::sort
