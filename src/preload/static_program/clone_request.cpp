#include "preload/static_program/clone_request.hpp"

#include <linux/sched.h>
#include <sys/syscall.h>

#include <csignal>

namespace faultline::preload {
namespace {

/// The structure that clone3(2) takes, up to its first version's end. Later members are for cgroups and chosen ids.
struct Clone3Arguments {
    std::uint64_t flags, pidfd, child_id, parent_id, exit_signal, stack, stack_bytes, tls;
};

}  // namespace

std::optional<CloneRequest> CloneRequest::of(const Call& call) noexcept {
    const auto& a = call.arguments;
    switch (call.number) {
        case SYS_fork:
            return CloneRequest{.exit_signal = SIGCHLD};
        case SYS_vfork:
            return CloneRequest{.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD};
        case SYS_clone:
            return CloneRequest{a[0] & ~std::uint64_t{CSIGNAL}, a[0] & CSIGNAL, a[1], a[2], a[3], a[4]};
        case SYS_clone3: {
            if (a[1] < sizeof(Clone3Arguments)) return std::nullopt;
            const std::optional<Clone3Arguments> given = load<Clone3Arguments>(a[0]);
            if (!given) return std::nullopt;
            const std::uint64_t end = given->stack == 0 ? 0 : given->stack + given->stack_bytes;
            return CloneRequest{given->flags, given->exit_signal, end, given->parent_id, given->child_id, given->tls};
        }
        default:
            return std::nullopt;
    }
}

}  // namespace faultline::preload
