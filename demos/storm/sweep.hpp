// A sweep: several threads visit every page once, while the calling thread shows the progress. swap_storm fills the
// region with one sweep, and checks it at the end with another.
#pragma once

#include "support/live_line.hpp"

#include <cstddef>
#include <functional>
#include <string>

namespace faultline::demo::storm {

/// Calls `visit(page)` for every page below `pages` from `threads` threads, until `stop` returns true. Returns the
/// number of pages visited.
std::size_t sweep(LiveLine& line, const std::string& title, std::size_t pages, unsigned threads,
                  const std::function<void(std::size_t)>& visit, const std::function<bool()>& stop);

}  // namespace faultline::demo::storm
