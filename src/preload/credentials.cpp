// The C library's functions that change the ids of the process, and those that the kernel does for a process of one
// thread only. A program that has one thread of its own may have given it other capabilities than the library's threads
// have; the C library aborts when a change of ids succeeds in one thread and fails in another. So the library has no
// threads during such a call, and new ones after it, which have what the calling thread has.

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

std::mutex changing;  // one thread has the others stopped

constinit std::atomic<long> process{0};  // that has the library's threads

/// A child of vfork has the memory of its parent, and none of its threads.
bool is_child_of_vfork() noexcept { return sys::raw_syscall(SYS_getpid) != process.load(std::memory_order_relaxed); }

/// Threads that have ended are still the kernel's for a moment.
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

/// Calls `change`, which touches nothing that is managed, without threads of the library.
template <typename Change>
int without_threads(Change change) noexcept {
    heap::Heap* const heap = ManagedHeap::get();
    if (heap == nullptr || this_thread.inside > 0 || is_child_of_vfork()) return change();
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

/// A list of groups that the kernel can read while nothing serves faults.
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

void remember_process() noexcept { process.store(sys::raw_syscall(SYS_getpid), std::memory_order_relaxed); }

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

/// Looking up the groups may run any code, and needs what serves faults; setting them is another matter.
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
            // The kernel may take fewer than there are.
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
    header->version = its_header.version;  // the kernel says there what it would have
    return result;
}

int unshare(int flags) noexcept {
    constexpr int kForOneThread = CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
    if ((flags & kForOneThread) == 0) return next_unshare(flags);
    return without_threads([=] { return changed_when_alone([=] { return next_unshare(flags); }); });
}
int setns(int fd, int type) noexcept {
    return without_threads([=] { return changed_when_alone([=] { return next_setns(fd, type); }); });
}

}  // extern "C"
// NOLINTEND
