#include "sys/file_write.hpp"

#include "sys/syscall.hpp"

#include <cerrno>
#include <csignal>
#include <ctime>

namespace faultline::sys {
namespace {

constexpr std::uint64_t kSizeSignal = std::uint64_t{1} << (SIGXFSZ - 1);

}  // namespace

SizeSignalBlock::SizeSignalBlock() FAULTLINE_SIGNAL_SAFE {
    raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, syscall_argument(&kSizeSignal), syscall_argument(&previous_),
                sizeof previous_);
}

SizeSignalBlock::~SizeSignalBlock() {
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, syscall_argument(&previous_), 0, sizeof previous_);
}

void SizeSignalBlock::take() FAULTLINE_SIGNAL_SAFE {
    const timespec at_once{};
    raw_syscall(SYS_rt_sigtimedwait, syscall_argument(&kSizeSignal), 0, syscall_argument(&at_once), sizeof kSizeSignal);
}

long write_file_at(int fd, const void* from, std::size_t bytes, std::uint64_t offset) FAULTLINE_SIGNAL_SAFE {
    const SizeSignalBlock block;
    const long written = raw_syscall(SYS_pwrite64, fd, syscall_argument(from), bytes, offset);
    if (written == -EFBIG) SizeSignalBlock::take();
    return written;
}

long write_file_at(int fd, std::span<const iovec> parts, std::uint64_t offset) FAULTLINE_SIGNAL_SAFE {
    const SizeSignalBlock block;
    // The fourth argument holds the whole offset, so the fifth, for its upper half, is 0.
    const long written = raw_syscall(SYS_pwritev, fd, syscall_argument(parts.data()), parts.size(), offset, 0);
    if (written == -EFBIG) SizeSignalBlock::take();
    return written;
}

}  // namespace faultline::sys
