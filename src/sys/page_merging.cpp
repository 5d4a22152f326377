#include "sys/page_merging.hpp"

#include "core/units.hpp"
#include "sys/mapping.hpp"
#include "sys/syscall.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>

namespace faultline::sys {
namespace {

constexpr int kGetMemoryMerge = 68;  // PR_GET_MEMORY_MERGE, Linux 6.4

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kOftenEnough{10};
constinit std::atomic<Clock::rep> last_look{0};

/// Opens a file of /proc. Returns a descriptor or a negated errno.
long open_file(const char* path) FAULTLINE_SIGNAL_SAFE {
    return raw_syscall(SYS_openat, AT_FDCWD, syscall_argument(path), O_RDONLY | O_CLOEXEC);
}

// Whether the machine has been seen to merge pages. Until then faults and evictions make no system call for it, which a
// seccomp filter of the program's might forbid.
constinit std::atomic<bool> machine_merges{false};

/// The number that a file of the kernel's says. 0 where there is no such file.
std::uint64_t number_in(const char* path) noexcept {
    const long fd = open_file(path);
    if (fd < 0) return 0;
    std::array<char, 24> text{};
    const long length = raw_syscall(SYS_pread64, fd, syscall_argument(text.data()), text.size(), 0);
    raw_syscall(SYS_close, fd);
    std::uint64_t number = 0;
    for (long i = 0; i < length && text[static_cast<std::size_t>(i)] >= '0'; ++i) {
        number = number * 10 + static_cast<std::uint64_t>(text[static_cast<std::size_t>(i)] - '0');
    }
    return number;
}

}  // namespace

bool PageMerging::may_happen() FAULTLINE_SIGNAL_SAFE {
    if (!machine_merges.load(std::memory_order_relaxed)) return false;
    if (seen_.load(std::memory_order_relaxed)) return true;
    if (unknown_to_kernel_.load(std::memory_order_relaxed)) return false;
    const long asked_for = raw_syscall(SYS_prctl, kGetMemoryMerge, 0, 0, 0, 0);
    if (asked_for < 0) unknown_to_kernel_.store(true, std::memory_order_relaxed);
    return asked_for > 0;
}

void PageMerging::look() noexcept {
    last_look.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    if (number_in("/sys/kernel/mm/ksm/run") > 0) machine_merges.store(true, std::memory_order_relaxed);
    if (!machine_merges.load(std::memory_order_relaxed)) return;
    if (number_in("/proc/self/ksm_merging_pages") > 0) seen_.store(true, std::memory_order_relaxed);
}

void PageMerging::look_now_and_then() noexcept {
    if (seen_.load(std::memory_order_relaxed)) return;
    const Clock::rep since = Clock::now().time_since_epoch().count() - last_look.load(std::memory_order_relaxed);
    if (since >= Clock::duration{kOftenEnough}.count()) look();
}

int PageMerging::forbid(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return advise(address, bytes, MADV_UNMERGEABLE);
}

ProtectionMarks::ProtectionMarks() FAULTLINE_SIGNAL_SAFE : fd_{open_file("/proc/self/pagemap")} {}

ProtectionMarks::~ProtectionMarks() {
    if (fd_ >= 0) raw_syscall(SYS_close, fd_);
}

bool ProtectionMarks::all_marked(const void* address, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
    constexpr std::uint64_t kMark = std::uint64_t{1} << 57;  // Documentation/admin-guide/mm/pagemap.rst
    std::array<std::uint64_t, 64> entries;
    std::uint64_t unit = core::address_of(address) / core::kUnitBytes;
    for (std::size_t left = bytes / core::kUnitBytes; left > 0;) {
        const std::size_t count = std::min(left, entries.size());
        const long wanted = static_cast<long>(count * sizeof entries[0]);
        const long length =
            raw_syscall(SYS_pread64, fd_, syscall_argument(entries.data()), wanted, unit * sizeof entries[0]);
        if (length != wanted) return false;
        if (std::any_of(entries.begin(), entries.begin() + count, [](std::uint64_t e) { return (e & kMark) == 0; })) {
            return false;
        }
        left -= count;
        unit += count;
    }
    return true;
}

}  // namespace faultline::sys
