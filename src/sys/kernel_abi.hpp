// Kernel interfaces that are newer than the distribution's headers (Debian 12 has those of Linux 6.1), each with the
// version that added it. A constant here does not mean that the kernel has the feature: callers probe for it.
#pragma once

#include <linux/ioctl.h>
#include <linux/userfaultfd.h>

#include <cstdint>

namespace faultline::sys::abi {

inline constexpr std::uint64_t kFeatureMinorShmem = std::uint64_t{1} << 10;    // 5.14
inline constexpr std::uint64_t kFeatureExactAddress = std::uint64_t{1} << 11;  // 5.18
inline constexpr std::uint64_t kFeatureProtectShmem = std::uint64_t{1} << 12;  // 5.19
inline constexpr std::uint64_t kFeaturePoison = std::uint64_t{1} << 14;        // 6.6
inline constexpr std::uint64_t kFeatureMove = std::uint64_t{1} << 16;          // 6.8

inline constexpr std::uint64_t kContinueProtected = std::uint64_t{1} << 1;  // UFFDIO_CONTINUE_MODE_WP, 6.4

struct UffdioPoison {  // 6.6
    uffdio_range range;
    std::uint64_t mode;
    std::int64_t updated;
};
inline constexpr unsigned long kUffdioPoison = _IOWR(UFFDIO, 0x08, UffdioPoison);

struct UffdioMove {  // 6.8
    std::uint64_t destination;
    std::uint64_t source;
    std::uint64_t length;
    std::uint64_t mode;
    std::int64_t moved;
};
inline constexpr unsigned long kUffdioMove = _IOWR(UFFDIO, 0x05, UffdioMove);

inline constexpr int kAdvisePopulateRead = 22;    // MADV_POPULATE_READ, 5.14
inline constexpr int kAdvisePopulateWrite = 23;   // MADV_POPULATE_WRITE, 5.14
inline constexpr int kAdviseDontneedLocked = 24;  // MADV_DONTNEED_LOCKED, 5.18
inline constexpr int kAdviseGuardInstall = 102;   // MADV_GUARD_INSTALL, 6.13; for memory files 6.15
inline constexpr int kAdviseGuardRemove = 103;    // MADV_GUARD_REMOVE

inline constexpr unsigned long kUserfaultfdDeviceNew = _IO(0xAA, 0x00);  // /dev/userfaultfd, 6.1

}  // namespace faultline::sys::abi
