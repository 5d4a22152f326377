// A round: a pager of one configuration, its regions, threads that do random things for a while, and the checks after
// they have ended.
#pragma once

#include "soak/configuration.hpp"
#include "soak/findings.hpp"

#include <chrono>
#include <cstdint>

namespace faultline::soak {

/// Returns how many operations were done. Ends early when there are findings.
std::uint64_t run_round(const Configuration& configuration, std::chrono::milliseconds length, Findings& findings);

}  // namespace faultline::soak
