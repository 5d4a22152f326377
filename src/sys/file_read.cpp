#include "sys/file_read.hpp"

#include "sys/file_reader.hpp"
#include "sys/full_transfer.hpp"
#include "sys/syscall.hpp"

#include <fcntl.h>

namespace faultline::sys {

std::string_view read_file_start(const char* path, std::span<char> buffer) FAULTLINE_SIGNAL_SAFE {
    const std::optional<std::string_view> text = FileReader::try_read(path, buffer);
    return text ? *text : read_file_start_here(path, buffer);
}

std::string_view read_file_start_here(const char* path, std::span<char> buffer) FAULTLINE_SIGNAL_SAFE {
    const long fd = raw_syscall(SYS_openat, AT_FDCWD, syscall_argument(path), O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return {};
    const Transferred got =
        transfer_to_end("read of a small file", buffer.size(), [&](std::size_t done, std::size_t left) {
            return raw_syscall(SYS_read, fd, syscall_argument(buffer.data() + done), left);
        });
    raw_syscall(SYS_close, fd);
    return {buffer.data(), got.bytes};
}

}  // namespace faultline::sys
