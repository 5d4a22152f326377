#include "preload/descriptors.hpp"

#include "sys/syscall.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstring>
#include <string_view>

namespace faultline::preload {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

constexpr unsigned kWindow = 64;     // numbers that descriptors of the library may have
constexpr unsigned kLeastFree = 32;  // a program that may open so few is left them
constexpr unsigned kMost = 1024;

constinit std::atomic<std::uint64_t> own{0};      // a bit for each number of the window
constinit std::atomic<unsigned> window_begin{0};  // 0: not known

/// 0 where the program may open too few files.
unsigned begin_of_window() noexcept {
    if (const unsigned known = window_begin.load(std::memory_order_relaxed)) return known;
    rlimit limit{};
    if (raw_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, syscall_argument(&limit)) != 0) return 0;
    const auto end = static_cast<unsigned>(std::min<rlim_t>(limit.rlim_cur, kMost));
    if (end < kWindow + kLeastFree) return 0;
    window_begin.store(end - kWindow, std::memory_order_relaxed);
    return end - kWindow;
}

/// What is behind a descriptor, as /proc names it; empty when it is not open.
std::string_view target_of(unsigned fd, std::array<char, 256>& room) noexcept {
    constexpr std::string_view kFolder = "/proc/self/fd/";
    std::array<char, 40> path{};
    char* const digits = std::copy(kFolder.begin(), kFolder.end(), path.data());
    *std::to_chars(digits, path.data() + path.size() - 1, fd).ptr = '\0';
    const long length =
        raw_syscall(SYS_readlink, syscall_argument(path.data()), syscall_argument(room.data()), room.size());
    return length > 0 ? std::string_view{room.data(), static_cast<std::size_t>(length)} : std::string_view{};
}

/// A userfaultfd or its device, a ring, what wakes its reader, a file without a name, or the directory of such files.
bool looks_own(unsigned fd) noexcept {
    std::array<char, 256> room{};
    const std::string_view target = target_of(fd, room);
    const long flags = raw_syscall(SYS_fcntl, fd, F_GETFL);
    if (flags >= 0 && (flags & O_PATH) != 0) return true;
    return target == "/dev/userfaultfd" || target == "anon_inode:[userfaultfd]" || target == "anon_inode:[io_uring]" ||
           target == "anon_inode:[eventfd]" || target.ends_with(" (deleted)");
}

}  // namespace

HighNumbers::HighNumbers() noexcept {
    const unsigned end = begin_of_window();
    if (end == 0) return;
    const long first = raw_syscall(SYS_eventfd2, 0, O_CLOEXEC);
    for (long fd = first; fd >= 0; fd = raw_syscall(SYS_fcntl, first, F_DUPFD_CLOEXEC, 0)) {
        if (fd >= static_cast<long>(end)) {
            raw_syscall(SYS_close, fd);
            break;
        }
        taken_[static_cast<std::size_t>(fd) / 64] |= std::uint64_t{1} << fd % 64;
    }
}

HighNumbers::~HighNumbers() {
    const auto taken = [&](unsigned fd) { return (taken_[fd / 64] >> fd % 64 & 1) != 0; };
    for (unsigned fd = 0; fd < kMost; ++fd) {
        if (!taken(fd)) continue;
        const unsigned first = fd;
        while (fd + 1 < kMost && taken(fd + 1)) ++fd;
        if (raw_syscall(SYS_close_range, first, fd, 0) == 0) continue;
        for (unsigned each = first; each <= fd; ++each) raw_syscall(SYS_close, each);
    }
}

void find_own_descriptors() noexcept {
    const unsigned begin = begin_of_window();
    std::uint64_t found = 0;
    for (unsigned i = 0; begin != 0 && i < kWindow; ++i) {
        if (looks_own(begin + i)) found |= std::uint64_t{1} << i;
    }
    own.store(found, std::memory_order_relaxed);
}

bool is_own_descriptor(std::uint64_t fd) noexcept {
    const std::uint64_t place = fd - window_begin.load(std::memory_order_relaxed);
    return place < kWindow && (own.load(std::memory_order_relaxed) >> place & 1) != 0;
}

long close_range_around_own(unsigned first, unsigned last, unsigned flags) noexcept {
    const unsigned begin = window_begin.load(std::memory_order_relaxed);
    if (first > last || own.load(std::memory_order_relaxed) == 0 || last < begin || first >= begin + kWindow) {
        return raw_syscall(SYS_close_range, first, last, flags);
    }
    for (unsigned fd = std::max(first, begin); fd < begin + kWindow; ++fd) {
        if (!is_own_descriptor(fd) || fd < first) continue;
        if (fd > last) break;
        if (fd > first) {
            if (const long error = raw_syscall(SYS_close_range, first, fd - 1, flags)) return error;
        }
        if (fd == last) return 0;
        first = fd + 1;
    }
    return raw_syscall(SYS_close_range, first, last, flags);
}

}  // namespace faultline::preload
