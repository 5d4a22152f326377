// LiveView: shows the storm while it runs: rates, and which parts of the region are in memory.
#pragma once

#include "support/live_line.hpp"
#include "support/stats_math.hpp"

#include <faultline/pager.hpp>
#include <faultline/region.hpp>
#include <faultline/stats.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace faultline::demo::storm {

/// Used by one thread. Rates count from its construction.
class LiveView {
public:
    LiveView(const Pager& pager, const Region& region, LiveLine& line);

    /// Draws the line. `seconds`: since the start.
    void show(double seconds);

private:
    [[nodiscard]] std::string residency(std::size_t columns);

    const Pager& pager_;
    const Region& region_;
    LiveLine& line_;
    RateWindow rates_;
    std::vector<ResidencyCell> cells_;
};

}  // namespace faultline::demo::storm
