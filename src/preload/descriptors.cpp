#include "preload/descriptors.hpp"

#include "sys/syscall.hpp"

#include <linux/close_range.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>

namespace faultline::preload {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

constexpr unsigned kPlaces = 64;         // numbers for the library's descriptors
constexpr unsigned kLeastFree = 32;      // if the program would have fewer numbers left, it keeps all of them
constexpr unsigned kMostNumbers = 1024;  // select(2) accepts no larger number

}  // namespace

void place_descriptors_high() noexcept {
    rlimit limit{};
    if (raw_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, syscall_argument(&limit)) != 0) return;
    const auto end = static_cast<unsigned>(std::min<rlim_t>(limit.rlim_cur, kMostNumbers));
    if (end >= kPlaces + kLeastFree) sys::place_own_descriptors(static_cast<int>(end - kPlaces));
}

long close_range_around_own(unsigned first, unsigned last, unsigned flags) noexcept {
    if (first > last || (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) != 0) return -EINVAL;
    for (;;) {
        const unsigned own = sys::next_own_descriptor(first);
        if (own > last) return raw_syscall(SYS_close_range, first, last, flags);
        if (own > first) {
            if (const long error = raw_syscall(SYS_close_range, first, own - 1, flags)) return error;
        }
        if (own == last) return 0;
        first = own + 1;
    }
}

long close_range_of_program(unsigned first, unsigned last, unsigned flags, CallFrom from) noexcept {
    if ((flags & CLOSE_RANGE_UNSHARE) == 0) return close_range_around_own(first, last, flags);
    const int result = run_without_threads(
        [=] {
            const long error = close_range_around_own(first, last, flags);
            errno = static_cast<int>(-error);
            return error == 0 ? 0 : -1;
        },
        from);
    return result == 0 ? 0 : -errno;
}

}  // namespace faultline::preload
