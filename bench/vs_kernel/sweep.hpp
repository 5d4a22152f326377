// Sweep: one option of a run takes a series of values; all other options stay the same.
#pragma once

#include <string>
#include <vector>

#include "vs_kernel/options.hpp"

namespace bench {

/// One value of the series. Without a sweep there is one point, without a label.
struct Point {
    std::string label;  ///< "30%" (resident part of the size), or "8" (threads).
    Options options;
};

std::vector<Point> points_of(const Options& options);

}  // namespace bench
