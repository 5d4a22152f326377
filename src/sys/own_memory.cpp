#include "sys/own_memory.hpp"

#include "core/units.hpp"
#include "sys/syscall.hpp"

#include <sys/uio.h>

#include <algorithm>

namespace faultline::sys {

/// The kernel never copies a part of a range, so each page is a range of its own.
std::size_t copy_readable(std::uintptr_t address, std::span<std::byte> to) FAULTLINE_SIGNAL_SAFE {
    constexpr std::size_t kMostPages = kMostCopied / core::kUnitBytes + 1;
    iovec pages[kMostPages];
    std::size_t count = 0;
    std::size_t bytes = 0;
    const std::size_t wanted = std::min(to.size(), kMostCopied);
    while (bytes < wanted) {
        const std::uintptr_t begin = address + bytes;
        if (begin < address) break;  // the end of all addresses
        const std::size_t in_page = std::min(core::kUnitBytes - begin % core::kUnitBytes, wanted - bytes);
        pages[count++] = {reinterpret_cast<void*>(begin), in_page};
        bytes += in_page;
    }
    if (count == 0) return 0;
    const iovec into{to.data(), bytes};
    const long pid = raw_syscall(SYS_getpid);
    const long copied =
        raw_syscall(SYS_process_vm_readv, pid, syscall_argument(&into), 1, syscall_argument(&pages[0]), count, 0);
    return copied > 0 ? static_cast<std::size_t>(copied) : 0;
}

}  // namespace faultline::sys
