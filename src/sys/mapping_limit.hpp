// What to do when the kernel refuses to map, unmap or protect a part of a mapping: each part with a protection of its
// own counts towards vm.max_map_count, and beyond that the kernel returns ENOMEM. Every message about such a refusal
// takes its advice from here. MappingBudget keeps faultline below that limit.
#pragma once

#include "core/check.hpp"

#include <string>

/// A string literal, for messages that are made of literals.
#define FAULTLINE_MAPPING_ADVICE "raise `sysctl vm.max_map_count`"

/// Ends the process with `what`, a string literal, and the advice if `error`, an errno, is not 0. Signal-safe.
#define FAULTLINE_REQUIRE_MAPPED(error, what) FAULTLINE_REQUIRE((error) == 0, what ": " FAULTLINE_MAPPING_ADVICE)

namespace faultline::sys {

/// Throws std::system_error for `error`, which a call on mappings returned. `what` says which object the call failed
/// on. Adds the advice if the error is ENOMEM, and to that `reason`: why the object takes many mappings.
[[noreturn]] void throw_mapping_error(int error, const std::string& what, const std::string& reason = {});

}  // namespace faultline::sys
