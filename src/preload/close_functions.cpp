// Interposes the C library's functions that close descriptors (close, dup2, ...): faultline's own report EBADF.

#include "preload/credentials.hpp"
#include "preload/descriptors.hpp"
#include "sys/syscall.hpp"

#include <cerrno>
#include <climits>
#include <cstdint>

namespace {

using namespace faultline;

int answer(long result) noexcept {
    if (const int error = sys::error_of(result)) {
        errno = error;
        return -1;
    }
    return static_cast<int>(result);
}

bool is_own(int fd) noexcept { return preload::is_own_descriptor(static_cast<std::uint64_t>(fd)); }

}  // namespace

// NOLINTBEGIN: the C library's names and signatures
extern "C" {

int close(int fd) { return is_own(fd) ? answer(-EBADF) : answer(sys::raw_syscall(SYS_close, fd)); }

int dup2(int from, int to) noexcept {
    return is_own(from) || is_own(to) ? answer(-EBADF) : answer(sys::raw_syscall(SYS_dup2, from, to));
}

int dup3(int from, int to, int flags) noexcept {
    return is_own(from) || is_own(to) ? answer(-EBADF) : answer(sys::raw_syscall(SYS_dup3, from, to, flags));
}

int close_range(unsigned first, unsigned last, int flags) noexcept {
    return answer(
        preload::close_range_of_program(first, last, static_cast<unsigned>(flags), preload::CallFrom::function));
}

void closefrom(int first) noexcept {
    static_cast<void>(preload::close_range_around_own(static_cast<unsigned>(first < 0 ? 0 : first), UINT_MAX, 0));
}

}  // extern "C"
// NOLINTEND
