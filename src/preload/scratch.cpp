#include "preload/scratch.hpp"

#include "sys/syscall.hpp"

#include <sys/mman.h>

#include <utility>

namespace faultline::preload {

using sys::raw_syscall;

void Scratch::map(std::size_t bytes) noexcept {
    if (bytes == 0) return;
    const long result =
        raw_syscall(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (sys::error_of(result) != 0) return;
    // A huge page would use 2 MiB even for a few bytes. A kernel without huge pages refuses the advice, which is
    // harmless.
    static_cast<void>(raw_syscall(SYS_madvise, result, bytes, MADV_NOHUGEPAGE));
    data_ = reinterpret_cast<std::byte*>(result);
    bytes_ = bytes;
}

void Scratch::give_up() noexcept {
    if (data_ == nullptr) return;
    static_cast<void>(raw_syscall(SYS_munmap, sys::syscall_argument(std::exchange(data_, nullptr)), bytes_));
    bytes_ = 0;
}

}  // namespace faultline::preload
