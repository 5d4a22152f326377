#include "sys/own_descriptors.hpp"

#include "sys/syscall.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <climits>
#include <cstdint>

namespace faultline::sys {
namespace {

// As many as the kernel lets a process open (`sysctl fs.nr_open`), unless that was raised. One bit for each number.
// Memory is touched only where descriptors exist.
constexpr unsigned kNumbers = 1U << 20;
constexpr unsigned kWordBits = 64;

constinit std::array<std::atomic<std::uint64_t>, kNumbers / kWordBits> listed{};
constinit std::atomic<unsigned> end_of_list{0};  // above every number in the list
constinit std::atomic<int> least_number{kLeastOwnDescriptor};

std::uint64_t bit_of(unsigned fd) noexcept { return std::uint64_t{1} << fd % kWordBits; }

void close_number(int fd) noexcept {
#ifdef __SANITIZE_THREAD__
    ::close(fd);  // which the sanitizer tracks
#else
    raw_syscall(SYS_close, fd);
#endif
}

long move_above(int fd, int least) noexcept { return raw_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, least); }

/// Returns the final number or a negated errno. The descriptor stays open at its old number, too.
long find_place(int fd) noexcept {
    const int least = least_number.load(std::memory_order_relaxed);
    if (fd >= least) return fd;
    const long moved = move_above(fd, least);
    if (moved >= 0) return moved;
    // The program may have lowered its limit meanwhile.
    return fd >= kLeastOwnDescriptor ? fd : move_above(fd, kLeastOwnDescriptor);
}

void list(unsigned fd) noexcept {
    if (fd >= kNumbers) return;
    listed[fd / kWordBits].fetch_or(bit_of(fd));
    unsigned end = end_of_list.load();
    while (end <= fd && !end_of_list.compare_exchange_weak(end, fd + 1)) {
    }
}

}  // namespace

void place_own_descriptors(int least) FAULTLINE_SIGNAL_SAFE { least_number.store(least, std::memory_order_relaxed); }

int add_own_descriptor(int fd) FAULTLINE_SIGNAL_SAFE {
    if (fd < 0) return fd;
    const long place = find_place(fd);
    if (place != fd) close_number(fd);
    if (const int error = error_of(place)) {
        errno = error;
        return -1;
    }
    list(static_cast<unsigned>(place));
    return static_cast<int>(place);
}

void remove_own_descriptor(int fd) FAULTLINE_SIGNAL_SAFE {
    const auto number = static_cast<unsigned>(fd);
    if (number < kNumbers) listed[number / kWordBits].fetch_and(~bit_of(number));
}

bool is_own_descriptor(unsigned fd) FAULTLINE_SIGNAL_SAFE {
    return fd < kNumbers && (listed[fd / kWordBits].load(std::memory_order_relaxed) & bit_of(fd)) != 0;
}

unsigned next_own_descriptor(unsigned first) FAULTLINE_SIGNAL_SAFE {
    const unsigned end = end_of_list.load();
    for (unsigned fd = first; fd < end; fd = (fd / kWordBits + 1) * kWordBits) {
        const std::uint64_t rest = listed[fd / kWordBits].load() >> fd % kWordBits;
        if (rest != 0) return fd + static_cast<unsigned>(std::countr_zero(rest));
    }
    return UINT_MAX;
}

}  // namespace faultline::sys
