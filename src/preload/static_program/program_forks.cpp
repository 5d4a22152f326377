#include "preload/static_program/program_forks.hpp"

#include "preload/foreign_tls.hpp"
#include "preload/static_program/clone_request.hpp"
#include "preload/static_program/program_threads.hpp"
#include "sys/syscall.hpp"

#include <linux/sched.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>

namespace faultline::preload {
namespace {

constexpr std::uint64_t kForkFlags =
    CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_SYSVSEM;

void start_child(ucontext_t& context, const CloneRequest& request) noexcept {
    ProgramThreads::start_in_child();
    if (request.has(CLONE_SETTLS)) ForeignTls::set_program_base(request.tls);
    if (request.has(CLONE_CHILD_SETTID)) CloneRequest::store_id(request.child_id, sys::raw_syscall(SYS_gettid));
    static_cast<void>(ProgramThreads::set_id_address(request.has(CLONE_CHILD_CLEARTID) ? request.child_id : 0));
    if (request.stack_end != 0) context.uc_mcontext.gregs[REG_RSP] = static_cast<greg_t>(request.stack_end);
}

}  // namespace

bool ProgramForks::is_fork(const Call& call) noexcept {
    const std::optional<CloneRequest> request = CloneRequest::of(call);
    return request && !request->has(CLONE_VM);
}

long ProgramForks::make(ucontext_t& context, const Call& call) noexcept {
    const std::optional<CloneRequest> request = CloneRequest::of(call);
    if (!request || (request->flags & ~kForkFlags) != 0 || request->exit_signal != SIGCHLD) return -EINVAL;
    const pid_t child = ::fork();
    if (child < 0) return -errno;
    if (child == 0) {
        start_child(context, *request);
    } else if (request->has(CLONE_PARENT_SETTID)) {
        CloneRequest::store_id(request->parent_id, child);
    }
    return child;
}

}  // namespace faultline::preload
