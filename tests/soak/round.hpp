// A round: makes a pager of one configuration and its regions, runs threads that do random operations for a while, and
// checks memory and figures after they have ended.
#pragma once

#include "soak/configuration.hpp"
#include "soak/findings.hpp"

#include <chrono>
#include <cstdint>

namespace faultline::soak {

/// Returns the number of operations. Ends early if there are findings.
std::uint64_t run_round(const Configuration& configuration, std::chrono::milliseconds length, Findings& findings);

}  // namespace faultline::soak
