#include "preload/call_memory.hpp"

#include "core/units.hpp"
#include "preload/pinned_memory.hpp"
#include "preload/program_memory.hpp"
#include "sys/syscall.hpp"

#include <linux/fiemap.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/fsmap.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <algorithm>
#include <climits>
#include <csignal>
#include <ctime>
#include <optional>

namespace faultline::preload {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

constexpr std::uint64_t kPlainObject = 4096;  // the longest path; other objects are shorter

// Missing in the distribution's headers.
constexpr long kFutexWaitv = 449;
constexpr long kStatmount = 457;
constexpr long kListmount = 458;
constexpr unsigned kScanPagemap = 0xc060'6610;  // PAGEMAP_SCAN

constexpr Extent kPlain{kPlainObject, false};
constexpr Extent kNone{0, true};

Extent exactly(std::uint64_t bytes) noexcept { return {bytes, true}; }

/// Multiplies; saturates at UINT64_MAX.
std::uint64_t times(std::uint64_t count, std::uint64_t bytes) noexcept {
    std::uint64_t product = 0;
    return __builtin_mul_overflow(count, bytes, &product) ? UINT64_MAX : product;
}

/// Returns the size of a bit set in whole kernel words.
std::uint64_t bit_set(std::uint64_t bits) noexcept { return (bits / 64 + (bits % 64 != 0 ? 1 : 0)) * 8; }

// ---- by call

/// Returns the extent of a structure that tells how many entries follow it.
template <typename Head, typename Count>
Extent of_list(std::uint64_t at, Count Head::*count, std::uint64_t entry_bytes) noexcept {
    if (!permits(at, sizeof(Head), PinFor::reading)) return kPlain;
    return exactly(sizeof(Head) + times(pointer<const Head>(at)->*count, entry_bytes));
}

Extent of_ioctl(const Call& call) noexcept {
    const auto request = static_cast<unsigned>(call.arguments[1]);
    const std::uint64_t at = call.arguments[2];
    if (!is_managed(at, 1)) return kPlain;
    switch (request) {
        case FS_IOC_FIEMAP:
            return of_list<fiemap>(at, &fiemap::fm_extent_count, sizeof(fiemap_extent));
        case FIDEDUPERANGE:
            return of_list<file_dedupe_range>(at, &file_dedupe_range::dest_count, sizeof(file_dedupe_range_info));
        case FS_IOC_GETFSMAP:
            return of_list<fsmap_head>(at, &fsmap_head::fmh_count, sizeof(fsmap));
        default:
            return {std::max<std::uint64_t>(_IOC_SIZE(request), kPlainObject), false};
    }
}

/// Returns the extent of a semaphore set's values.
Extent of_semctl(const Call& call) noexcept {
    constexpr int kVersionFlag = 0x100;  // IPC_64
    const int command = static_cast<int>(call.arguments[2]) & ~kVersionFlag;
    if (command != GETALL && command != SETALL) return kPlain;
    semid_ds about{};
    const long result = raw_syscall(SYS_semctl, call.arguments[0], 0, IPC_STAT, syscall_argument(&about));
    return result < 0 ? kPlain : exactly(times(about.sem_nsems, sizeof(unsigned short)));
}

Extent of_getsockopt(const Call& call) noexcept {
    if (!is_managed(call.arguments[3], 1)) return kPlain;
    const std::optional<socklen_t> length = load<socklen_t>(call.arguments[4]);
    return length ? Extent{std::max<std::uint64_t>(*length, kPlainObject), false} : kPlain;
}

Extent of_keyctl(const Call& call, unsigned i) noexcept {
    // For operations with a buffer, the third argument is its address and the fourth its size.
    return i == 2 ? Extent{std::max(call.arguments[3] & UINT_MAX, kPlainObject), false} : kPlain;
}

Extent of_syslog(const Call& call) noexcept {
    constexpr int kReadFirst = 2;  // SYSLOG_ACTION_READ and the two actions after it fill the buffer
    constexpr int kReadLast = 4;
    const auto type = static_cast<int>(call.arguments[0]);
    return type >= kReadFirst && type <= kReadLast ? exactly(call.arguments[2] & INT_MAX) : kNone;
}

Extent of_page_list(const Call& call, unsigned i) noexcept {
    switch (i) {
        case 2:
            return exactly(times(call.arguments[1], sizeof(void*)));
        case 3:
        case 4:
            return exactly(times(call.arguments[1], sizeof(int)));
        default:
            return kNone;
    }
}

}  // namespace

// NOLINTNEXTLINE(readability-function-size): it is a table
Extent extent_of(const Call& call, unsigned i) noexcept {
    const auto& a = call.arguments;
    switch (call.number) {
        case SYS_getcwd:
            return i == 0 ? exactly(a[1]) : kNone;
        case SYS_getdents:
        case SYS_getdents64:
            return i == 1 ? exactly(a[2] & UINT_MAX) : kNone;
        case SYS_mq_timedsend:
        case SYS_mq_timedreceive:
            return i == 1 ? exactly(a[2]) : kPlain;
        case SYS_readlink:
            return i == 1 ? exactly(a[2] & INT_MAX) : kPlain;
        case SYS_readlinkat:
            return i == 2 ? exactly(a[3] & INT_MAX) : kPlain;
        case SYS_poll:
        case SYS_ppoll:
            return i == 0 ? exactly(times(a[1] & UINT_MAX, sizeof(pollfd))) : kPlain;
        case SYS_select:
        case SYS_pselect6:
            return i >= 1 && i <= 3 ? exactly(bit_set(a[0] & INT_MAX)) : kPlain;
        case SYS_epoll_wait:
        case SYS_epoll_pwait:
        case kEpollPwait2:
            return i == 1 ? exactly(times(a[2] & INT_MAX, sizeof(epoll_event))) : kPlain;
        case SYS_setsockopt:
            return i == 3 ? exactly(a[4] & UINT_MAX) : kNone;
        case SYS_getsockopt:
            return i == 3 ? of_getsockopt(call) : i == 4 ? exactly(sizeof(socklen_t)) : kNone;
        case SYS_getgroups:
        case SYS_setgroups:
            return i == 1 ? exactly(times(a[0] & INT_MAX, sizeof(gid_t))) : kNone;
        case SYS_sched_getaffinity:
        case SYS_sched_setaffinity:
            return i == 2 ? exactly(a[1] & UINT_MAX) : kNone;
        case SYS_setxattr:
        case SYS_lsetxattr:
        case SYS_fsetxattr:
        case SYS_getxattr:
        case SYS_lgetxattr:
        case SYS_fgetxattr:
            return i == 2 ? exactly(a[3]) : kPlain;
        case SYS_listxattr:
        case SYS_llistxattr:
        case SYS_flistxattr:
            return i == 1 ? exactly(a[2]) : kPlain;
        case SYS_msgsnd:
        case SYS_msgrcv:
            return i == 1 ? exactly(a[2] + sizeof(long)) : kNone;
        case SYS_semop:
        case SYS_semtimedop:
            return i == 1 ? exactly(times(a[2] & UINT_MAX, sizeof(sembuf))) : kPlain;
        case SYS_semctl:
            return i == 3 ? of_semctl(call) : kNone;
        case SYS_io_submit:
            return i == 2 ? exactly(times(a[1], sizeof(void*))) : kNone;
        case SYS_io_getevents:
            return i == 3 ? exactly(times(a[2], 32)) : kPlain;
        case SYS_futex:
            return i == 3 ? Extent{sizeof(timespec), false} : Extent{sizeof(std::uint32_t), false};
        case kFutexWaitv:
            return i == 0 ? exactly(times(a[1] & UINT_MAX, 24)) : Extent{sizeof(timespec), false};
        case SYS_mincore:
            return i == 2 ? exactly(a[1] / core::kUnitBytes + (a[1] % core::kUnitBytes != 0 ? 1 : 0)) : kNone;
        case SYS_move_pages:
            return of_page_list(call, i);
        case SYS_migrate_pages:
            return i == 2 || i == 3 ? Extent{bit_set(a[1]), false} : kNone;
        case SYS_mbind:
            return i == 3 ? Extent{bit_set(a[4]), false} : kNone;
        case SYS_set_mempolicy:
            return i == 1 ? Extent{bit_set(a[2]), false} : kNone;
        case SYS_get_mempolicy:
            return i == 0 ? exactly(sizeof(int)) : i == 1 ? exactly(bit_set(a[2])) : kNone;
        case SYS_syslog:
            return i == 1 ? of_syslog(call) : kNone;
        case SYS_ioctl:
            return i == 2 ? of_ioctl(call) : kNone;
        case SYS_ptrace:
            return i == 3 ? kPlain : kNone;
        case SYS_add_key:
            return i == 2 ? exactly(a[3]) : kPlain;
        case SYS_keyctl:
            return of_keyctl(call, i);
        case SYS_bpf:
            return i == 1 ? exactly(a[2] & UINT_MAX) : kNone;
        case SYS_init_module:
            return i == 0 ? exactly(a[1]) : kPlain;
        case SYS_kexec_load:
            return i == 2 ? exactly(times(a[1], 32)) : kNone;
        case SYS_modify_ldt:
            return i == 1 ? exactly(a[2]) : kNone;
        case SYS_fsconfig:
            return i == 3 ? Extent{std::max(a[4] & UINT_MAX, kPlainObject), false} : kPlain;
        case SYS_process_vm_readv:
        case SYS_process_vm_writev:
            return i == 1 || i == 3 ? exactly(times(a[i + 1], sizeof(iovec))) : kNone;
        case SYS_process_madvise:
            return i == 1 ? exactly(times(a[2], sizeof(iovec))) : kNone;
        case SYS_sendfile:
            return i == 2 ? exactly(sizeof(off_t)) : kNone;
        case SYS_splice:
        case SYS_copy_file_range:
            return i == 1 || i == 3 ? exactly(sizeof(off_t)) : kNone;
        case kStatmount:
            return i == 1 ? exactly(a[2]) : kPlain;
        case kListmount:
            return i == 1 ? exactly(times(a[2], sizeof(std::uint64_t))) : kPlain;
        default:
            return kPlain;
    }
}

namespace {

void visit_filter(std::uint64_t program_at, const MemoryVisitor& visit) {
    const std::optional<sock_fprog> program = load<sock_fprog>(program_at);
    if (program) visit(syscall_argument(program->filter), times(program->len, sizeof(sock_filter)));
}

void visit_ioctl(const Call& call, const MemoryVisitor& visit) {
    const auto request = static_cast<unsigned>(call.arguments[1]);
    const std::uint64_t at = call.arguments[2];
    if (request == SIOCGIFCONF) {
        const std::optional<ifconf> list = load<ifconf>(at);
        if (list) visit(syscall_argument(list->ifc_buf), static_cast<std::uint64_t>(std::max(list->ifc_len, 0)));
    }
    if (request == kScanPagemap) {
        struct Scan {  // the beginning of struct pm_scan_arg
            std::uint64_t bytes, flags, start, end, walk_end, vector, count;
        };
        constexpr std::uint64_t kRangeBytes = 24;
        const std::optional<Scan> scan = load<Scan>(at);
        if (scan) visit(scan->vector, times(scan->count, kRangeBytes));
    }
}

void visit_buffers(std::uint64_t list, std::uint64_t count, const MemoryVisitor& visit) {
    if (count > IOV_MAX || !permits(list, count * sizeof(iovec), PinFor::reading)) return;
    for (std::uint64_t i = 0; i < count; ++i) {
        const iovec& buffer = pointer<const iovec>(list)[i];
        visit(syscall_argument(buffer.iov_base), buffer.iov_len);
    }
}

void visit_futexes(const Call& call, const MemoryVisitor& visit) {
    constexpr std::uint64_t kMost = 128;
    constexpr std::size_t kWordsEach = 3;
    const auto& a = call.arguments;
    const std::uint64_t count = std::min(a[1] & UINT_MAX, kMost);
    if (!permits(a[0], count * kWordsEach * sizeof(std::uint64_t), PinFor::reading)) return;
    for (std::uint64_t i = 0; i < count; ++i) {
        visit(pointer<const std::uint64_t>(a[0])[kWordsEach * i + 1], sizeof(std::uint32_t));
    }
}

bool attaches_filter(const Call& call) noexcept {
    const auto& a = call.arguments;
    const auto option = static_cast<int>(a[2]);
    return static_cast<int>(a[1]) == SOL_SOCKET && a[4] >= sizeof(sock_fprog) &&
           (option == SO_ATTACH_FILTER || option == SO_ATTACH_REUSEPORT_CBPF);
}

}  // namespace

void for_each_indirect_memory(const Call& call, const MemoryVisitor& visit) {
    const auto& a = call.arguments;
    switch (call.number) {
        case SYS_ioctl:
            return visit_ioctl(call, visit);
        case SYS_process_vm_readv:
        case SYS_process_vm_writev:
            return visit_buffers(a[1], a[2], visit);
        case kFutexWaitv:
            return visit_futexes(call, visit);
        case SYS_setsockopt:
            if (attaches_filter(call)) visit_filter(a[3], visit);
            return;
        case SYS_seccomp:
            if (a[0] == SECCOMP_SET_MODE_FILTER) visit_filter(a[2], visit);
            return;
        case SYS_prctl:
            if (a[0] == PR_SET_SECCOMP && a[1] == SECCOMP_MODE_FILTER) visit_filter(a[2], visit);
            return;
        case SYS_ptrace:
            if (a[0] == PTRACE_GETREGSET || a[0] == PTRACE_SETREGSET) visit_buffers(a[3], a[3] != 0 ? 1 : 0, visit);
            return;
        default:
            return;
    }
}

}  // namespace faultline::preload
