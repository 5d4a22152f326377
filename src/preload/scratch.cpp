#include "preload/scratch.hpp"

#include "sys/syscall.hpp"

#include <sys/mman.h>

#include <utility>

namespace faultline::preload {

using sys::raw_syscall;

Scratch::Scratch(std::size_t bytes) noexcept {
    if (bytes == 0) return;
    const long result =
        raw_syscall(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (sys::error_of(result) != 0) return;
    // A huge page would cost 2 MiB where a few bytes arrive. Kernels without huge pages refuse the advice.
    static_cast<void>(raw_syscall(SYS_madvise, result, bytes, MADV_NOHUGEPAGE));
    data_ = reinterpret_cast<std::byte*>(result);
    bytes_ = bytes;
}

Scratch::~Scratch() {
    if (data_ != nullptr) static_cast<void>(raw_syscall(SYS_munmap, sys::syscall_argument(data_), bytes_));
}

Scratch::Scratch(Scratch&& other) noexcept
    : data_{std::exchange(other.data_, nullptr)}, bytes_{std::exchange(other.bytes_, 0)} {}

Scratch& Scratch::operator=(Scratch&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

}  // namespace faultline::preload
