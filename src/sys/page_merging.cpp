#include "sys/page_merging.hpp"

#include "core/units.hpp"
#include "sys/clock.hpp"
#include "sys/fork_watch.hpp"
#include "sys/mapping.hpp"
#include "sys/own_descriptors.hpp"
#include "sys/syscall.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <utility>

namespace faultline::sys {
namespace {

constexpr int kGetMemoryMerge = 68;  // PR_GET_MEMORY_MERGE, Linux 6.4

constexpr std::chrono::milliseconds kOftenEnough{10};
constexpr std::chrono::milliseconds kOftenEnoughForFaults{1};
constinit std::atomic<std::chrono::nanoseconds::rep> last_update{0};

enum class Of : std::uint8_t { machine, process };

/// A file in /proc or /sys that stays open from its first use: it is read again and again, also by background threads,
/// and opening it would take the lowest free number of the program's descriptors each time.
class KernelFile {
public:
    constexpr KernelFile(Of of, const char* path) noexcept : of_{of}, path_{path} {}

    /// Reads from `offset`. Returns the number of bytes, or a negated errno.
    long read(void* into, std::size_t bytes, std::uint64_t offset) FAULTLINE_SIGNAL_SAFE {
        const int fd = descriptor();
        if (fd < 0) return -ENOENT;
        return raw_syscall(SYS_pread64, fd, syscall_argument(into), bytes, offset);
    }

    /// Opens the file now, so that a later use need not. In a child of fork: in place of its parent's.
    void open() FAULTLINE_SIGNAL_SAFE { static_cast<void>(descriptor()); }

    [[nodiscard]] bool is_open() const noexcept { return opened_.load(std::memory_order_acquire) != kNever; }

private:
    static constexpr std::uint64_t kNever = 0;

    /// Returns the descriptor; a negative number if there is no such file.
    int descriptor() FAULTLINE_SIGNAL_SAFE {
        // The generation of the process, and the descriptor plus 2: 1 if there is no such file.
        const std::uint64_t generation = of_ == Of::process ? process_generation() : 0;
        std::uint64_t was = opened_.load(std::memory_order_acquire);
        if (was != kNever && was >> 32 == generation) return descriptor_in(was);
        const int fd = add_own_descriptor(
            static_cast<int>(raw_syscall(SYS_openat, AT_FDCWD, syscall_argument(path_), O_RDONLY | O_CLOEXEC)));
        const std::uint64_t now = generation << 32 | static_cast<std::uint64_t>(fd < 0 ? 1 : fd + 2);
        const bool first = opened_.compare_exchange_strong(was, now, std::memory_order_acq_rel);
        close(first ? descriptor_in(was) : fd);  // the parent's; or this one, because another thread was faster
        return first ? fd : descriptor_in(was);
    }

    static int descriptor_in(std::uint64_t opened) noexcept { return static_cast<int>(opened & UINT32_MAX) - 2; }

    static void close(int fd) FAULTLINE_SIGNAL_SAFE {
        if (fd < 0) return;
        remove_own_descriptor(fd);
        raw_syscall(SYS_close, fd);
    }

    Of of_;
    const char* path_;
    std::atomic<std::uint64_t> opened_{kNever};
};

constinit KernelFile switch_of_machine{Of::machine, "/sys/kernel/mm/ksm/run"};
constinit KernelFile tracked_pages{Of::process, "/proc/self/ksm_stat"};
constinit KernelFile merged_pages{Of::process, "/proc/self/ksm_merging_pages"};
constinit KernelFile page_map{Of::process, "/proc/self/pagemap"};

// Set once the machine was seen to merge pages. Until then faults and evictions make no system call about merging,
// which a seccomp filter of the program might forbid.
constinit std::atomic<bool> machine_merges{false};

/// Returns the first number in a kernel file, or 0 if there is no such file.
std::uint64_t number_in(KernelFile& file) FAULTLINE_SIGNAL_SAFE {
    std::array<char, 40> text{};
    const long length = file.read(text.data(), text.size(), 0);
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
bool scanned_by_kernel() FAULTLINE_SIGNAL_SAFE { return number_in(tracked_pages) > 0 || number_in(merged_pages) > 0; }

void open_files_of_process() FAULTLINE_SIGNAL_SAFE {
    for (KernelFile* const file : {&tracked_pages, &merged_pages, &page_map}) file->open();
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
    if (number_in(switch_of_machine) > 0) machine_merges.store(true, std::memory_order_relaxed);
    if (!machine_merges.load(std::memory_order_relaxed)) return;
    open_files_of_process();
    if (scanned_by_kernel()) {
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

void PageMerging::start_in_child() noexcept {
    if (page_map.is_open()) open_files_of_process();
}

bool is_write_protected(const void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    constexpr std::uint64_t kMark = std::uint64_t{1} << 57;  // Documentation/admin-guide/mm/pagemap.rst
    std::array<std::uint64_t, 64> entries;
    std::uint64_t unit = core::address_of(address) / core::kUnitBytes;
    for (std::size_t left = bytes / core::kUnitBytes; left > 0;) {
        const std::size_t count = std::min(left, entries.size());
        const long wanted = static_cast<long>(count * sizeof entries[0]);
        const long length = page_map.read(entries.data(), static_cast<std::size_t>(wanted), unit * sizeof entries[0]);
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
