// AddressRange: the bytes from one address to another, as calls of the program name them.
#pragma once

#include <cstdint>

namespace faultline::preload {

struct AddressRange {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;  ///< Address of the byte after the last one. A range with `end` <= `begin` is empty.
    [[nodiscard]] std::uint64_t size() const noexcept { return end - begin; }  ///< In bytes; not for empty ranges.
    [[nodiscard]] bool empty() const noexcept { return begin >= end; }
};

}  // namespace faultline::preload
