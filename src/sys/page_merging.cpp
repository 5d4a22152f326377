#include "sys/page_merging.hpp"

#include "core/units.hpp"
#include "sys/clock.hpp"
#include "sys/mapping.hpp"
#include "sys/syscall.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <utility>

namespace faultline::sys {
namespace {

constexpr int kGetMemoryMerge = 68;  // PR_GET_MEMORY_MERGE, Linux 6.4

constexpr std::chrono::milliseconds kOftenEnough{10};
constexpr std::chrono::milliseconds kOftenEnoughForFaults{1};
constinit std::atomic<std::chrono::nanoseconds::rep> last_update{0};

/// Opens a file in /proc or /sys. Returns a descriptor or a negated errno.
long open_file(const char* path) FAULTLINE_SIGNAL_SAFE {
    return raw_syscall(SYS_openat, AT_FDCWD, syscall_argument(path), O_RDONLY | O_CLOEXEC);
}

// Set once the machine was seen to merge pages. Until then faults and evictions make no system call about merging,
// which a seccomp filter of the program might forbid.
constinit std::atomic<bool> machine_merges{false};

/// Returns the first number in a kernel file, or 0 if there is no such file.
std::uint64_t number_in(const char* path) FAULTLINE_SIGNAL_SAFE {
    const long fd = open_file(path);
    if (fd < 0) return 0;
    std::array<char, 40> text{};
    const long length = raw_syscall(SYS_pread64, fd, syscall_argument(text.data()), text.size(), 0);
    raw_syscall(SYS_close, fd);
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const char* const end = text.data() + std::max(length, 0L);
    std::uint64_t number = 0;
    for (const char* at = std::find_if(std::as_const(text).data(), end, is_digit); at != end && is_digit(*at); ++at) {
        number = number * 10 + static_cast<std::uint64_t>(*at - '0');
    }
    return number;
}

/// Returns true if the kernel tracks pages of this process for merging. It does so before it merges one, and as long as
/// it may (Linux 6.1). On older kernels returns true if some are merged now.
bool scanned_by_kernel() FAULTLINE_SIGNAL_SAFE {
    return number_in("/proc/self/ksm_stat") > 0 || number_in("/proc/self/ksm_merging_pages") > 0;
}

std::chrono::nanoseconds since_last_update() FAULTLINE_SIGNAL_SAFE {
    return monotonic_time() - std::chrono::nanoseconds{last_update.load(std::memory_order_relaxed)};
}

}  // namespace

bool PageMerging::may_happen() FAULTLINE_SIGNAL_SAFE {
    if (!machine_merges.load(std::memory_order_relaxed)) return false;
    if (seen_.load(std::memory_order_relaxed)) return true;
    if (!unknown_to_kernel_.load(std::memory_order_relaxed)) {
        const long asked_for = raw_syscall(SYS_prctl, kGetMemoryMerge, 0, 0, 0, 0);
        if (asked_for > 0) return true;
        if (asked_for < 0) unknown_to_kernel_.store(true, std::memory_order_relaxed);
    }
    if (since_last_update() >= kOftenEnoughForFaults) update();
    return seen_.load(std::memory_order_relaxed);
}

void PageMerging::update() FAULTLINE_SIGNAL_SAFE {
    last_update.store(monotonic_time().count(), std::memory_order_relaxed);
    if (number_in("/sys/kernel/mm/ksm/run") > 0) machine_merges.store(true, std::memory_order_relaxed);
    if (machine_merges.load(std::memory_order_relaxed) && scanned_by_kernel()) {
        seen_.store(true, std::memory_order_relaxed);
    }
}

void PageMerging::update_occasionally() FAULTLINE_SIGNAL_SAFE {
    if (seen_.load(std::memory_order_relaxed)) return;
    if (machine_merges.load(std::memory_order_relaxed) || since_last_update() >= kOftenEnough) update();
}

int PageMerging::exclude(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
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
