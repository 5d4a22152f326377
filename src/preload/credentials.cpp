// Interposes the C library's functions that change the ids of the process, and those that the kernel grants only to a
// process with one thread.
// The program's only thread may have other capabilities than the library's threads. The C library aborts if a change of
// ids succeeds in one thread and fails in another. So the library ends its threads before such a call, and starts new
// ones afterwards, which have the capabilities of the calling thread.

#include "preload/credentials.hpp"

#include "preload/libc_malloc.hpp"
#include "preload/managed_heap.hpp"
#include "preload/next.hpp"
#include "preload/status.hpp"
#include "preload/thread_state.hpp"
#include "sys/syscall.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <exception>
#include <mutex>

namespace faultline::preload {
namespace {

Next<int(uid_t)> next_setuid{"setuid"};
Next<int(gid_t)> next_setgid{"setgid"};
Next<int(uid_t)> next_seteuid{"seteuid"};
Next<int(gid_t)> next_setegid{"setegid"};
Next<int(uid_t, uid_t)> next_setreuid{"setreuid"};
Next<int(gid_t, gid_t)> next_setregid{"setregid"};
Next<int(uid_t, uid_t, uid_t)> next_setresuid{"setresuid"};
Next<int(gid_t, gid_t, gid_t)> next_setresgid{"setresgid"};
Next<int(std::size_t, const gid_t*)> next_setgroups{"setgroups"};
Next<int(int)> next_unshare{"unshare"};
Next<int(int, int)> next_setns{"setns"};
Next<int(cap_user_header_t, const cap_user_data_t)> next_capset{"capset"};

std::mutex changing;  // held by the thread that has ended the library's threads

constinit std::atomic<long> own_process{0};  // the process that the library's threads belong to

/// Returns true in a child of vfork: it shares its parent's memory but has none of the parent's threads.
bool is_child_of_vfork() noexcept {
    return sys::raw_syscall(SYS_getpid) != own_process.load(std::memory_order_relaxed);
}

/// Calls `change`, and repeats it for a while: the kernel counts ended threads for a moment longer.
template <typename Change>
int changed_when_alone(Change change) noexcept {
    constexpr int kMostTries = 100;
    constexpr timespec kPause{0, 100'000};
    int result = change();
    for (int tries = 0; result < 0 && errno == EINVAL && tries < kMostTries; ++tries) {
        sys::raw_syscall(SYS_nanosleep, sys::syscall_argument(&kPause), 0);
        result = change();
    }
    return result;
}

/// Calls `change` while the library has no threads. `change` must not touch managed memory. `scopes`: the InLibrary
/// scopes in which the program's call is handled. A call of the library itself, which is in more, leaves the threads.
template <typename Change>
int without_threads(Change change, unsigned scopes = 0) noexcept {
    heap::Heap* const heap = ManagedHeap::get();
    if (heap == nullptr || this_thread.inside > scopes || is_child_of_vfork()) return change();
    int result = -1;
    int error = EAGAIN;
    {
        const std::lock_guard lock{changing};
        const InLibrary inside;
        stop_status();
        try {
            heap->pager().threads().run_without([&] {
                result = change();
                error = errno;
            });
        } catch (const std::exception&) {
            result = -1;
        }
        start_status_again();
    }
    errno = error;
    return result;
}

}  // namespace

int run_without_threads(const std::function<int()>& change, CallFrom from) noexcept {
    return without_threads(change, from == CallFrom::dispatch ? 1 : 0);
}

namespace {

/// A list of groups in memory that the kernel can read while no thread serves faults.
class Groups {
public:
    Groups(std::size_t count, const gid_t* groups) noexcept
        : groups_{static_cast<gid_t*>(__libc_calloc(std::max<std::size_t>(count, 1), sizeof(gid_t)))} {
        if (groups_ != nullptr && groups != nullptr) std::memcpy(groups_, groups, count * sizeof(gid_t));
    }
    ~Groups() { __libc_free(groups_); }
    Groups(const Groups&) = delete;
    Groups& operator=(const Groups&) = delete;

    [[nodiscard]] gid_t* get() const noexcept { return groups_; }

private:
    gid_t* groups_;
};

int set_groups(std::size_t count, const gid_t* groups) noexcept {
    if (count > NGROUPS_MAX || (count > 0 && groups == nullptr)) return next_setgroups(count, groups);
    const Groups copy{count, groups};
    if (copy.get() == nullptr) {
        errno = ENOMEM;
        return -1;
    }
    return without_threads([&] { return next_setgroups(count, copy.get()); });
}

}  // namespace

void remember_process() noexcept { own_process.store(sys::raw_syscall(SYS_getpid), std::memory_order_relaxed); }

}  // namespace faultline::preload

using namespace faultline::preload;

// NOLINTBEGIN: the C library's names and signatures
extern "C" {

int setuid(uid_t user) noexcept {
    return without_threads([=] { return next_setuid(user); });
}
int setgid(gid_t group) noexcept {
    return without_threads([=] { return next_setgid(group); });
}
int seteuid(uid_t user) noexcept {
    return without_threads([=] { return next_seteuid(user); });
}
int setegid(gid_t group) noexcept {
    return without_threads([=] { return next_setegid(group); });
}
int setreuid(uid_t real, uid_t effective) noexcept {
    return without_threads([=] { return next_setreuid(real, effective); });
}
int setregid(gid_t real, gid_t effective) noexcept {
    return without_threads([=] { return next_setregid(real, effective); });
}
int setresuid(uid_t real, uid_t effective, uid_t saved) noexcept {
    return without_threads([=] { return next_setresuid(real, effective, saved); });
}
int setresgid(gid_t real, gid_t effective, gid_t saved) noexcept {
    return without_threads([=] { return next_setresgid(real, effective, saved); });
}

int setgroups(std::size_t count, const gid_t* groups) noexcept { return set_groups(count, groups); }

/// Looks up the groups while faults are served, because that may run any code; then sets them.
int initgroups(const char* user, gid_t group) {
    int count = 64;
    for (;;) {
        const int room = count;
        const Groups groups{static_cast<std::size_t>(room), nullptr};
        if (groups.get() == nullptr) {
            errno = ENOMEM;
            return -1;
        }
        if (getgrouplist(user, group, groups.get(), &count) >= 0) {
            int result = -1;
            // The kernel may accept fewer groups than the user has.
            for (; count > 0; --count) {
                result = set_groups(static_cast<std::size_t>(count), groups.get());
                if (result == 0 || errno != EINVAL) break;
            }
            return result;
        }
        count = std::max(count, 2 * room);
    }
}

int capset(cap_user_header_t header, const cap_user_data_t data) noexcept {
    if (header == nullptr) return next_capset(header, data);
    __user_cap_header_struct its_header = *header;
    __user_cap_data_struct its_data[2] = {};
    const std::size_t words = its_header.version == _LINUX_CAPABILITY_VERSION_1 ? 1 : 2;
    if (data != nullptr) std::memcpy(its_data, data, words * sizeof its_data[0]);
    const int result = without_threads([&] { return next_capset(&its_header, data != nullptr ? its_data : nullptr); });
    header->version = its_header.version;  // the kernel stores the version there that it prefers
    return result;
}

int unshare(int flags) noexcept {
    // The kernel refuses the first four to a process with threads. After CLONE_FILES the library's threads, in the old
    // table of descriptors, would not have the swap files that the calling thread opens at a fork.
    constexpr int kForOneThread = CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_FILES;
    if ((flags & kForOneThread) == 0) return next_unshare(flags);
    return without_threads([=] { return changed_when_alone([=] { return next_unshare(flags); }); });
}
int setns(int fd, int type) noexcept {
    return without_threads([=] { return changed_when_alone([=] { return next_setns(fd, type); }); });
}

}  // extern "C"
// NOLINTEND
