// The addresses that the kernel gives to programs.
#pragma once

#include <faultline/types.hpp>

#include <cstdint>

namespace faultline::demo::elf {

inline constexpr std::uint64_t kPage = kBasePageBytes;
inline constexpr std::uint64_t kUserEnd = (std::uint64_t{1} << 47) - kPage;  ///< The kernel keeps the last page empty.

}  // namespace faultline::demo::elf
