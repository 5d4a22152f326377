#include "space/placement.hpp"

#include "sys/error.hpp"

#include <sys/random.h>

#include <cerrno>
#include <cstdio>

namespace faultline::space {

void require_user_range(std::uintptr_t address, std::size_t bytes) {
    if (is_user(address) && bytes <= core::kUserAddressEnd - address) return;
    char text[96];
    std::snprintf(text, sizeof text, "%zu bytes at 0x%zx are no addresses of a program: %s", bytes,
                  static_cast<std::size_t>(address),
                  is_canonical(address) ? "those end at 128 TiB" : "that is not canonical");
    sys::throw_error(EINVAL, text);
}

std::uint64_t random_bits(unsigned bits) {
    std::uint64_t value = 0;
    // So few bytes come whole once the kernel has any; before, and when interrupted, it is asked again.
    while (::getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value)) {
        if (errno != EINTR) sys::throw_error(errno, "the kernel gives no random numbers (getrandom)");
    }
    return bits >= 64 ? value : value & ((std::uint64_t{1} << bits) - 1);
}

}  // namespace faultline::space
