// kZeroUnit: one unit of zeros, aligned, for calls that copy a unit from memory.
#pragma once

#include "core/units.hpp"

namespace faultline::core {

alignas(kUnitBytes) inline constexpr std::byte kZeroUnit[kUnitBytes] = {};

}  // namespace faultline::core
