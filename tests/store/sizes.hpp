// Sizes in bytes that the tests of stores use.
#pragma once

#include "core/units.hpp"
#include "store/segment_pool.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::test {

inline constexpr std::uint64_t kUnit = core::kUnitBytes;
inline constexpr std::uint64_t kPage = kUnit;  // of the regions in these tests, if they name no other size
inline constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
inline constexpr std::size_t kSegment = store::SegmentPool::kSegmentBytes;

}  // namespace faultline::test
