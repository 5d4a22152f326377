// Sweep: one option of a run taken through a series of values, everything else left as it is.
#pragma once

#include <string>
#include <vector>

#include "vs_kernel/options.hpp"

namespace bench {

/// One value of the series; the only one, without a label, when nothing is swept.
struct Point {
    std::string label;  ///< "30%" of the size resident, or "8" threads.
    Options options;
};

std::vector<Point> points_of(const Options& options);

}  // namespace bench
