#include "preload/static_program/process_calls.hpp"

#include "preload/foreign_tls.hpp"
#include "preload/program_memory.hpp"
#include "preload/static_program/executable_path.hpp"
#include "preload/static_program/program_forks.hpp"
#include "preload/static_program/program_threads.hpp"

#include <asm/prctl.h>
#include <linux/sched.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdint>

namespace faultline::preload {
namespace {

constexpr std::uint64_t kEndOfUserSpace = std::uint64_t{1} << 47;

/// Does what arch_prctl(2) does to FS and GS. GS is this library's.
std::optional<long> control_registers(std::uint64_t code, std::uint64_t argument) noexcept {
    switch (code) {
        case ARCH_SET_FS:
            if (argument >= kEndOfUserSpace) return -EPERM;
            ForeignTls::set_program_base(argument);
            return 0;
        case ARCH_GET_FS:
            return store(argument, ForeignTls::program_base()) ? 0 : -EFAULT;
        case ARCH_SET_GS:
            return -EPERM;
        case ARCH_GET_GS:
            return store(argument, std::uint64_t{0}) ? 0 : -EFAULT;
        default:
            return std::nullopt;
    }
}

}  // namespace

bool ProcessCalls::creates_thread(const Call& call) noexcept {
    return ForeignTls::active() && ProgramThreads::is_creation(call);
}

std::optional<long> ProcessCalls::answer(ucontext_t& context, Call& call) noexcept {
    const auto& a = call.arguments;
    switch (call.number) {
        case SYS_clone:
        case SYS_clone3:
        case SYS_fork:
            if (ProgramThreads::is_creation(call)) return ProgramThreads::create(context, call);
            if (call.number == SYS_clone3 && !permits(a[0], CLONE_ARGS_SIZE_VER0, PinFor::reading)) return -EFAULT;
            return ProgramForks::is_fork(call) ? ProgramForks::make(context, call) : -EINVAL;
        case SYS_exit:
            if (ProgramThreads::end(context, a[0])) return 0;
            return std::nullopt;
        case SYS_set_tid_address:
            return ProgramThreads::set_id_address(a[0]);
        case SYS_arch_prctl:
            return control_registers(a[0], a[1]);
        case SYS_rseq:
            return -ENOSYS;  // this library's C library has registered its own
        default:
            return ExecutablePath::answer(call);
    }
}

}  // namespace faultline::preload
