#include "preload/program_call.hpp"

#include "preload/thread_state.hpp"
#include "sys/syscall.hpp"

#include <poll.h>

#include <bit>
#include <csignal>

namespace faultline::preload {
namespace {

using sys::raw_syscall;

constexpr std::size_t kSetBytes = sizeof(std::uint64_t);

void set_mask(std::uint64_t mask) noexcept {
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, sys::syscall_argument(&mask), 0, kSetBytes);
}

/// All that signals interrupt. A thread that is cancelled is unwound from between any two instructions of it, so
/// nothing is to be cleaned up in this frame: the C++ runtime would not know where it is, and end the program.
long call_with_mask(const Call& call, std::uint64_t mask) {
    set_mask(mask);
    const long result = bare_call(call);
    set_mask(kHandlerMask);
    return result;
}

/// ppoll(2) sets the mask and waits as one step: a signal that has come before ends the wait, too.
long poll_with_mask(const Call& call, std::uint64_t) { return bare_call(call); }

/// Called by way of these: a compiler that sees that the function throws nothing leaves its callers' clean-ups out.
long (*const volatile unforeseen_call)(const Call&, std::uint64_t) = &call_with_mask;
long (*const volatile unforeseen_poll)(const Call&, std::uint64_t) = &poll_with_mask;

/// Outside of the library, as long as it lives.
class AsTheProgram {
public:
    AsTheProgram() noexcept { InLibrary::leave(); }
    ~AsTheProgram() { InLibrary::enter(); }
    AsTheProgram(const AsTheProgram&) = delete;
    AsTheProgram& operator=(const AsTheProgram&) = delete;
};

/// The kernel keeps signals without a handler pending, too, while they are blocked: those interrupt nothing.
bool has_handler(int signal) noexcept {
    std::uint64_t action[4] = {};  // the kernel's structure; its first word is the handler
    const long result = raw_syscall(SYS_rt_sigaction, signal, 0, sys::syscall_argument(&action[0]), kSetBytes);
    return result == 0 && action[0] != reinterpret_cast<std::uint64_t>(SIG_DFL) &&
           action[0] != reinterpret_cast<std::uint64_t>(SIG_IGN);
}

}  // namespace

long bare_call(const Call& call) noexcept {
    const auto& [a, b, c, d, e, f] = call.arguments;
    return raw_syscall(call.number, a, b, c, d, e, f);
}

long interruptible_call(const Call& call, std::uint64_t mask) {
    const AsTheProgram now;
    return unforeseen_call(call, mask);
}

long wait_interruptibly(int descriptor, short events, const timespec* time, std::uint64_t mask) {
    pollfd asked{descriptor, events, 0};
    timespec left = time != nullptr ? *time : timespec{};
    const Call call{SYS_ppoll,
                    {sys::syscall_argument(&asked), 1, time != nullptr ? sys::syscall_argument(&left) : 0,
                     sys::syscall_argument(&mask), kSetBytes}};
    const AsTheProgram now;
    return unforeseen_poll(call, mask);
}

bool handler_is_due(std::uint64_t mask) noexcept {
    std::uint64_t pending = 0;
    if (raw_syscall(SYS_rt_sigpending, sys::syscall_argument(&pending), kSetBytes) != 0) return false;
    for (pending &= ~mask; pending != 0; pending &= pending - 1) {
        if (has_handler(std::countr_zero(pending) + 1)) return true;
    }
    return false;
}

}  // namespace faultline::preload
