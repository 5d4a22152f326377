#include "sys/file_read.hpp"

#include "sys/syscall.hpp"

#include <fcntl.h>

#include <cerrno>

namespace faultline::sys {

std::string_view read_file_start(const char* path, std::span<char> buffer) FAULTLINE_SIGNAL_SAFE {
    const long fd = raw_syscall(SYS_openat, AT_FDCWD, syscall_argument(path), O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return {};
    std::size_t bytes = 0;
    while (bytes < buffer.size()) {
        const long got = raw_syscall(SYS_read, fd, syscall_argument(buffer.data() + bytes), buffer.size() - bytes);
        if (got == -EINTR) continue;
        if (got <= 0) break;
        bytes += static_cast<std::size_t>(got);
    }
    raw_syscall(SYS_close, fd);
    return {buffer.data(), bytes};
}

}  // namespace faultline::sys
