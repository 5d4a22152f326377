// A sweep: every page once, by several threads, while the calling thread shows how far it is. The storm is filled and
// checked at the end by sweeps.
#pragma once

#include "support/live_line.hpp"

#include <cstddef>
#include <functional>
#include <string>

namespace faultline::demo::storm {

/// Calls `visit(page)` for every page below `pages` from `threads` threads, until `stop` says so. Returns how many
/// pages were visited.
std::size_t sweep(LiveLine& line, const std::string& title, std::size_t pages, unsigned threads,
                  const std::function<void(std::size_t)>& visit, const std::function<bool()>& stop);

}  // namespace faultline::demo::storm
