#include "preload/scratch.hpp"

#include "core/units.hpp"
#include "sys/syscall.hpp"

#include <sys/mman.h>

#include <cstdint>

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

void Scratch::map_before_guard(std::size_t bytes) noexcept {
    const std::size_t whole = core::align_up(bytes, core::kUnitBytes);
    map(whole + core::kUnitBytes);
    if (data_ == nullptr) return;
    guard_bytes_ = core::kUnitBytes;
    bytes_ = bytes;
    data_ += whole - bytes;
    if (raw_syscall(SYS_mprotect, sys::syscall_argument(data_ + bytes), guard_bytes_, PROT_NONE) != 0) give_up();
}

void Scratch::give_up() noexcept {
    if (data_ == nullptr) return;
    const std::uint64_t begin = core::align_down(sys::syscall_argument(data_), core::kUnitBytes);
    const std::uint64_t end = sys::syscall_argument(data_ + bytes_) + guard_bytes_;
    data_ = nullptr;
    static_cast<void>(raw_syscall(SYS_munmap, begin, end - begin));
    bytes_ = 0;
    guard_bytes_ = 0;
}

}  // namespace faultline::preload
