#include "preload/static_program/process_calls.hpp"

#include "preload/foreign_tls.hpp"
#include "preload/static_program/executable_path.hpp"
#include "preload/static_program/program_forks.hpp"
#include "preload/static_program/program_threads.hpp"

#include <asm/prctl.h>
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
            *pointer<std::uint64_t>(argument) = ForeignTls::program_base();
            return 0;
        case ARCH_SET_GS:
            return -EPERM;
        case ARCH_GET_GS:
            *pointer<std::uint64_t>(argument) = 0;
            return 0;
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
