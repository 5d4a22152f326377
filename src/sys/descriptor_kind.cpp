#include "sys/descriptor_kind.hpp"

#include "sys/syscall.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>

#include <algorithm>

namespace faultline::sys {
namespace {

DescriptorKind kind_of_socket(int descriptor) FAULTLINE_SIGNAL_SAFE {
    int type = 0;
    socklen_t size = sizeof type;
    const long result =
        raw_syscall(SYS_getsockopt, descriptor, SOL_SOCKET, SO_TYPE, syscall_argument(&type), syscall_argument(&size));
    return result == 0 && type == SOCK_STREAM ? DescriptorKind::stream_socket : DescriptorKind::message_socket;
}

DescriptorKind kind_of_device(int descriptor, const struct stat& about) FAULTLINE_SIGNAL_SAFE {
    constexpr unsigned kMemoryDevices = 1;
    if (major(about.st_rdev) == kMemoryDevices) return DescriptorKind::memory_device;
    char settings[64];  // the kernel's struct termios takes 36 bytes
    const long result = raw_syscall(SYS_ioctl, descriptor, TCGETS, syscall_argument(&settings[0]));
    return result == 0 ? DescriptorKind::terminal : DescriptorKind::other;
}

}  // namespace

DescriptorKind descriptor_kind(int descriptor) FAULTLINE_SIGNAL_SAFE {
    struct stat about {};
    if (raw_syscall(SYS_fstat, descriptor, syscall_argument(&about)) != 0) return DescriptorKind::closed;
    switch (about.st_mode & S_IFMT) {
        case S_IFREG:
        case S_IFDIR:
        case S_IFBLK:
            return DescriptorKind::file;
        case S_IFSOCK:
            return kind_of_socket(descriptor);
        case S_IFIFO:
            return DescriptorKind::pipe;
        case S_IFCHR:
            return kind_of_device(descriptor, about);
        default:
            return DescriptorKind::other;
    }
}

int open_flags(int descriptor) FAULTLINE_SIGNAL_SAFE {
    return static_cast<int>(std::max(raw_syscall(SYS_fcntl, descriptor, F_GETFL), 0L));
}

}  // namespace faultline::sys
