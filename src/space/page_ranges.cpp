#include "space/page_ranges.hpp"

#include "core/units.hpp"
#include "space/placement.hpp"
#include "sys/error.hpp"

#include <algorithm>
#include <cerrno>
#include <string>

namespace faultline::space {

AddressRange intersection(AddressRange one, AddressRange other) noexcept {
    return {std::max(one.begin, other.begin), std::min(one.end, other.end)};
}

std::size_t whole_pages(std::size_t bytes) noexcept { return core::align_up(bytes, core::kUnitBytes); }

AddressRange pages_touched(std::uintptr_t address, std::size_t bytes) noexcept {
    return {core::align_down<std::uintptr_t>(address, core::kUnitBytes), whole_pages(address + bytes)};
}

AddressRange checked_range(std::uintptr_t address, std::size_t bytes, const char* purpose) {
    require_user_range(address, bytes);
    if (address % core::kUnitBytes != 0 || bytes == 0) {
        sys::throw_error(EINVAL, std::string("cannot ") + purpose +
                                     ": the range must not be empty, and must begin at a multiple of 4 KiB");
    }
    return {address, address + whole_pages(bytes)};
}

}  // namespace faultline::space
