// See sweep.hpp.
#include "vs_kernel/sweep.hpp"

namespace bench {
namespace {

constexpr std::size_t kResidentSteps = 10;
constexpr unsigned kMostThreads = 32;

// From a tenth of the size to all of it, in whole pages.
std::vector<Point> resident_points(const Options& options) {
    std::vector<Point> points;
    const std::size_t pages = options.size / options.page_size;
    for (std::size_t step = 1; step <= kResidentSteps; ++step) {
        Point point{std::to_string(step * 100 / kResidentSteps) + '%', options};
        point.options.resident = pages * step / kResidentSteps * options.page_size;
        points.push_back(point);
    }
    return points;
}

std::vector<Point> thread_points(const Options& options) {
    std::vector<Point> points;
    for (unsigned threads = 1; threads <= kMostThreads; threads *= 2) {
        points.push_back({std::to_string(threads), options});
        points.back().options.threads = threads;
    }
    return points;
}

}  // namespace

std::vector<Point> points_of(const Options& options) {
    switch (options.sweep) {
        case Sweep::resident:
            return resident_points(options);
        case Sweep::threads:
            return thread_points(options);
        case Sweep::none:
            break;
    }
    return {{"", options}};
}

}  // namespace bench
