#include "sys/access_probe.hpp"

#include "core/units.hpp"
#include "sys/kernel_abi.hpp"
#include "sys/syscall.hpp"

namespace faultline::sys {

/// rt_sigprocmask(2) reads the set before it looks at `how`, and changes nothing if `how` is invalid.
bool is_readable(std::uintptr_t page) FAULTLINE_SIGNAL_SAFE {
    constexpr int kNoSuchHow = 99;
    constexpr std::uint64_t kSetBytes = sizeof(std::uint64_t);
    const std::uintptr_t last = page + core::kUnitBytes - kSetBytes;  // not the first: 0 would be no set
    return error_of(raw_syscall(SYS_rt_sigprocmask, kNoSuchHow, last, 0, kSetBytes)) != EFAULT;
}

bool is_writable(std::uintptr_t page) FAULTLINE_SIGNAL_SAFE {
    // First: reading grows a stack, and madvise does not.
    if (!is_readable(page)) return false;
    const auto populate = [](std::uintptr_t at, std::size_t bytes) {
        return raw_syscall(SYS_madvise, at, bytes, abi::kAdvisePopulateWrite);
    };
    return populate(page, core::kUnitBytes) == 0 || populate(page, 0) != 0;  // 0 bytes: does the kernel know it?
}

}  // namespace faultline::sys
