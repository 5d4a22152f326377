// Draws the textbook picture of an address space: its segments in a column, high addresses on top, gaps with their
// sizes.
#pragma once

#include <faultline/address_space.hpp>

#include <string>

namespace faultline::demo::anatomy {

/// Returns the picture as ASCII text, a few lines per segment.
[[nodiscard]] std::string picture_of(const AddressSpace& space);

/// Returns a table of each segment's size and page states.
[[nodiscard]] std::string usage_table(const AddressSpace& space);

/// Returns a few lines about the cost of page tables for the space.
[[nodiscard]] std::string table_costs(const AddressSpace& space);

}  // namespace faultline::demo::anatomy
