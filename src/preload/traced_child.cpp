#include "preload/traced_child.hpp"

#include "preload/clone_calls.hpp"
#include "sys/syscall.hpp"

#include <fcntl.h>
#include <sys/ptrace.h>
#include <unistd.h>

namespace faultline::preload {
namespace {

using sys::raw_syscall;

/// The child of this thread that has asked; 0: none. The parent shares this memory.
[[gnu::tls_model("initial-exec")]] constinit thread_local long asking_child = 0;

/// Returns false if exec would fail because of its path. Programs look for a file by trying one path after another.
bool is_executable(const Call& call, const char* path) noexcept {
    const bool at = call.number == SYS_execveat;
    if (at && call.arguments[4] != 0) return true;
    const std::uint64_t folder = at ? call.arguments[0] : static_cast<std::uint64_t>(AT_FDCWD);
    return raw_syscall(SYS_faccessat, folder, sys::syscall_argument(path), X_OK) == 0;
}

}  // namespace

bool TracedChild::keeps(const Call& call) noexcept {
    const bool wanted = call.number == SYS_ptrace && call.arguments[0] == PTRACE_TRACEME && in_child_of_vfork();
    if (wanted) asking_child = raw_syscall(SYS_getpid);
    return wanted;
}

void TracedChild::begin_before(const Call& call, const char* path) noexcept {
    if (asking_child == 0 || asking_child != raw_syscall(SYS_getpid) || !is_executable(call, path)) return;
    asking_child = 0;
    raw_syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);  // fails if another process traces this one already
}

}  // namespace faultline::preload
