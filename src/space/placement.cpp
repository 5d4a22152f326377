#include "space/placement.hpp"

#include "sys/error.hpp"

#include <sys/random.h>

#include <cerrno>
#include <cstdio>

namespace faultline::space {

void require_user_range(std::uintptr_t address, std::size_t bytes) {
    if (is_user(address) && bytes <= core::kUserAddressEnd - address) return;
    char text[96];
    std::snprintf(text, sizeof text, "invalid range of %zu bytes at 0x%zx: %s", bytes,
                  static_cast<std::size_t>(address),
                  is_canonical(address) ? "user addresses end at 128 TiB" : "the address is not canonical");
    sys::throw_error(EINVAL, text);
}

std::uint64_t random_bits(unsigned bits) {
    std::uint64_t value = 0;
    // getrandom returns 8 bytes at once or none. Try again after EINTR.
    while (::getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value)) {
        if (errno != EINTR) sys::throw_error(errno, "cannot choose a random address: getrandom failed");
    }
    return bits >= 64 ? value : value & ((std::uint64_t{1} << bits) - 1);
}

}  // namespace faultline::space
