// The descriptors of the pager, among the program's: numbers high enough to be in nobody's way, and not for the program
// to close. Programs count on the lowest free number, name small ones, and close whatever they did not open.
#pragma once

#include <array>
#include <cstdint>

namespace faultline::preload {

/// While one lives, files are opened at numbers that descriptors of the library may have. Signal-safe.
class HighNumbers {
public:
    HighNumbers() noexcept;
    ~HighNumbers();
    HighNumbers(const HighNumbers&) = delete;
    HighNumbers& operator=(const HighNumbers&) = delete;

private:
    std::array<std::uint64_t, 16> taken_{};  // a bit for each number that stands in the way
};

/// Looks which descriptors the library has, after it has opened or closed some. Signal-safe.
void find_own_descriptors() noexcept;

[[nodiscard]] bool is_own_descriptor(std::uint64_t fd) noexcept;

/// close_range(2) without the library's own. Returns 0 or a negated errno. Signal-safe.
[[nodiscard]] long close_range_around_own(unsigned first, unsigned last, unsigned flags) noexcept;

}  // namespace faultline::preload
