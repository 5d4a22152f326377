#include "preload/program_call.hpp"

#include "preload/call_entry.hpp"
#include "preload/thread_state.hpp"
#include "sys/syscall.hpp"

#include <poll.h>

#include <bit>
#include <csignal>

namespace faultline::preload {
namespace {

using sys::raw_syscall;

/// Marks the thread as running the program's code (InLibrary) until destroyed.
class AsTheProgram {
public:
    AsTheProgram() noexcept { InLibrary::leave(); }
    ~AsTheProgram() { InLibrary::enter(); }
    AsTheProgram(const AsTheProgram&) = delete;
    AsTheProgram& operator=(const AsTheProgram&) = delete;
};

/// Returns true if the program has a handler for the signal. Blocked signals without a handler may be pending, too, but
/// they interrupt no call.
bool has_handler(int signal) noexcept {
    std::uint64_t action[4] = {};  // the kernel's structure; its first word is the handler
    const long result = raw_syscall(SYS_rt_sigaction, signal, 0, sys::syscall_argument(&action[0]), kSignalSetBytes);
    return result == 0 && action[0] != reinterpret_cast<std::uint64_t>(SIG_DFL) &&
           action[0] != reinterpret_cast<std::uint64_t>(SIG_IGN);
}

}  // namespace

long bare_call(const Call& call) noexcept {
    const auto& [a, b, c, d, e, f] = call.arguments;
    return raw_syscall(call.number, a, b, c, d, e, f);
}

long interruptible_call(const Call& call, std::uint64_t mask) {
    const auto& [a, b, c, d, e, f] = call.arguments;
    const std::uint64_t words[] = {static_cast<std::uint64_t>(call.number), a, b, c, d, e, f};
    const std::uint64_t masks[] = {mask, kHandlerMask};
    const AsTheProgram now;
    return faultline_preload_call_on(&words[0], this_thread.call_stack, &masks[0]);
}

long wait_interruptibly(int descriptor, short events, const timespec* time, std::uint64_t mask) {
    pollfd asked{descriptor, events, 0};
    timespec left = time != nullptr ? *time : timespec{};
    const Call call{SYS_ppoll,
                    {sys::syscall_argument(&asked), 1, time != nullptr ? sys::syscall_argument(&left) : 0,
                     sys::syscall_argument(&mask), kSignalSetBytes}};
    return interruptible_call(call, kHandlerMask);  // the kernel sets the mask and waits in one step
}

bool handler_is_due(std::uint64_t mask) noexcept {
    std::uint64_t pending = 0;
    if (raw_syscall(SYS_rt_sigpending, sys::syscall_argument(&pending), kSignalSetBytes) != 0) return false;
    for (pending &= ~mask; pending != 0; pending &= pending - 1) {
        if (has_handler(std::countr_zero(pending) + 1)) return true;
    }
    return false;
}

}  // namespace faultline::preload
