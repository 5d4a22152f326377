// Interposes the C library's functions that change mappings, for calls that are not dispatched. Answers calls that
// concern managed memory by memory_calls.hpp, and makes all others unchanged.

#include "preload/dispatch.hpp"
#include "preload/library_call.hpp"
#include "preload/managed_heap.hpp"
#include "preload/memory_calls.hpp"
#include "preload/next.hpp"
#include "preload/thread_state.hpp"
#include "sys/syscall.hpp"

#include <sys/types.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <iterator>

namespace faultline::preload {
namespace {

template <typename T>
std::uint64_t argument(T* pointer) noexcept {
    return sys::syscall_argument(pointer);
}

void* as_pointer(long result) noexcept { return reinterpret_cast<void*>(result); }

/// Makes mmap for the code at `caller`.
void* map_for(const void* caller, void* address, std::size_t bytes, int protection, int flags, int fd,
              off_t offset) noexcept {
    Call call{SYS_mmap,
              {argument(address), bytes, static_cast<std::uint64_t>(protection), static_cast<std::uint64_t>(flags),
               static_cast<std::uint64_t>(fd), static_cast<std::uint64_t>(offset)}};
    call.of_neighbour = ManagedHeap::neighbours().maps_for_itself(caller);
    return as_pointer(call_as_function(call));
}

using Variadic = long(long, long, long, long, long, long, long);
Next<Variadic> next_syscall{"syscall"};
Next<int(int, long, long, long, long)> next_prctl{"prctl"};

}  // namespace
}  // namespace faultline::preload

using namespace faultline::preload;

// NOLINTBEGIN: the C library's names and signatures
extern "C" {

int madvise(void* address, std::size_t bytes, int advice) noexcept {
    return static_cast<int>(call_as_function(SYS_madvise, argument(address), bytes, advice));
}

/// Does what glibc does: POSIX_MADV_DONTNEED is only a hint and keeps the contents.
int posix_madvise(void* address, std::size_t bytes, int advice) noexcept {
    constexpr int kDontNeed = 4;
    if (advice == kDontNeed) return 0;
    const int before = errno;
    const int error = madvise(address, bytes, advice) == 0 ? 0 : errno;
    errno = before;
    return error;
}

ssize_t process_madvise(int process, const struct iovec* ranges, std::size_t count, int advice,
                        unsigned flags) noexcept {
    return call_as_function(SYS_process_madvise, process, argument(ranges), count, advice, flags);
}

int mprotect(void* address, std::size_t bytes, int protection) noexcept {
    return static_cast<int>(call_as_function(SYS_mprotect, argument(address), bytes, protection));
}
int pkey_mprotect(void* address, std::size_t bytes, int protection, int key) noexcept {
    if (key == -1) return mprotect(address, bytes, protection);
    return static_cast<int>(call_as_function(SYS_pkey_mprotect, argument(address), bytes, protection, key));
}

int mlock(const void* address, std::size_t bytes) noexcept {
    return static_cast<int>(call_as_function(SYS_mlock, argument(address), bytes));
}
int mlock2(const void* address, std::size_t bytes, unsigned flags) noexcept {
    return static_cast<int>(call_as_function(SYS_mlock2, argument(address), bytes, flags));
}
int munlock(const void* address, std::size_t bytes) noexcept {
    return static_cast<int>(call_as_function(SYS_munlock, argument(address), bytes));
}
int mlockall(int flags) noexcept { return static_cast<int>(call_as_function(SYS_mlockall, flags)); }
int munlockall() noexcept { return static_cast<int>(call_as_function(SYS_munlockall)); }

void* mmap(void* address, std::size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
    return map_for(__builtin_return_address(0), address, bytes, protection, flags, fd, offset);
}
void* mmap64(void* address, std::size_t bytes, int protection, int flags, int fd, off_t offset) noexcept {
    return map_for(__builtin_return_address(0), address, bytes, protection, flags, fd, offset);
}
int munmap(void* address, std::size_t bytes) noexcept {
    return static_cast<int>(call_as_function(SYS_munmap, argument(address), bytes));
}
void* mremap(void* address, std::size_t bytes, std::size_t wanted, int flags, ...) noexcept {
    std::va_list list;
    va_start(list, flags);
    void* const to = va_arg(list, void*);
    va_end(list);
    return as_pointer(call_as_function(SYS_mremap, argument(address), bytes, wanted, flags, argument(to)));
}
void* shmat(int segment, const void* address, int flags) noexcept {
    return as_pointer(call_as_function(SYS_shmat, segment, argument(address), flags));
}

int prctl(int option, ...) noexcept {
    std::va_list list;
    va_start(list, option);
    long a[4];
    for (long& each : a) each = va_arg(list, long);
    va_end(list);
    // The dispatch must see this call: it dispatches calls of the C library, but not of this library.
    if (Dispatch::active() && this_thread.inside == 0) return next_prctl(option, a[0], a[1], a[2], a[3]);
    return static_cast<int>(call_as_function(SYS_prctl, option, a[0], a[1], a[2], a[3]));
}

/// Answers calls on managed memory here: dispatch would take the C library, whose instruction it is, for their caller.
long syscall(long number, ...) noexcept {
    std::va_list list;
    va_start(list, number);
    long a[6];
    for (long& each : a) each = va_arg(list, long);
    va_end(list);
    Call call{number, {}};
    std::copy(std::begin(a), std::end(a), call.arguments.begin());
    call.of_neighbour = ManagedHeap::neighbours().maps_for_itself(__builtin_return_address(0));
    if (Dispatch::active() && this_thread.inside == 0 && !concerns_managed_memory(call))
        return next_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    return call_as_function(call);
}

}  // extern "C"
// NOLINTEND
