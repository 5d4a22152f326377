// Composes the report about a program that has run: how it ended, its faults, its segments, and its peak memory.
#pragma once

#include "guest/guest.hpp"
#include "guest/options.hpp"

#include <faultline/address_space.hpp>
#include <faultline/pager.hpp>

#include <string>

namespace faultline::demo::guest {

/// Returns the report that `options` ask for; empty with --quiet and without --maps.
[[nodiscard]] std::string report_of(const Options& options, const Pager& pager, AddressSpace& space, const Guest& guest,
                                    const GuestEnd& end);

}  // namespace faultline::demo::guest
