// userfaultfd of kernels newer than the distribution's headers: UFFDIO_MOVE and its feature bit (Linux 6.8). Numbers
// and layout are the kernel's ABI (include/uapi/linux/userfaultfd.h). Whether the running kernel has it, the handshake
// of `BareUserfaultfd` finds out.
#pragma once

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include <cstdint>

namespace bench {

inline constexpr std::uint64_t kUffdFeatureMove = std::uint64_t{1} << 16;

// `struct uffdio_move`.
struct UffdioMove {
    std::uint64_t dst;
    std::uint64_t src;
    std::uint64_t len;
    std::uint64_t mode;
    std::int64_t move;  // bytes moved, or a negative errno
};

inline constexpr unsigned long kUffdioMove = _IOWR(UFFDIO, 0x05, UffdioMove);

}  // namespace bench
