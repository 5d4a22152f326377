#include "preload/scratch.hpp"

#include "core/units.hpp"
#include "sys/mapping.hpp"
#include "sys/syscall.hpp"

#include <sys/mman.h>

#include <cstdint>

namespace faultline::preload {

using sys::raw_syscall;

void Scratch::map(std::size_t bytes) noexcept {
    if (bytes == 0) return;
    data_ = sys::map_zeros(bytes);
    if (data_ != nullptr) bytes_ = bytes;
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
    static_cast<void>(sys::unmap(core::pointer_to(begin), end - begin));
    bytes_ = 0;
    guard_bytes_ = 0;
}

}  // namespace faultline::preload
