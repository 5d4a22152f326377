// The picture that the textbooks have: a space's segments in a column, high addresses on top, gaps told by their size.
#pragma once

#include <faultline/address_space.hpp>

#include <string>

namespace faultline::demo::anatomy {

/// Plain ASCII, a few lines for each segment.
[[nodiscard]] std::string picture_of(const AddressSpace& space);

/// A table: each segment's size and where its pages are.
[[nodiscard]] std::string usage_table(const AddressSpace& space);

/// What page tables for it cost, in a few lines.
[[nodiscard]] std::string table_costs(const AddressSpace& space);

}  // namespace faultline::demo::anatomy
