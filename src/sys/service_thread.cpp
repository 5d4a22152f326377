#include "sys/service_thread.hpp"

#include "sys/error.hpp"
#include "sys/futex.hpp"
#include "sys/signal_block.hpp"
#include "sys/syscall.hpp"

#include <pthread.h>

#include <csignal>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

namespace faultline::sys {
namespace {

/// Blocks the program's signals. The C library's signals stay as they are: the creating thread must receive them while
/// it waits for the C library's list of threads.
class ProgramSignalBlock {
public:
    ProgramSignalBlock() noexcept {
        std::uint64_t previous = 0;
        raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, syscall_argument(&blocked_), syscall_argument(&previous),
                    sizeof previous);
        blocked_ &= ~previous;
    }
    ~ProgramSignalBlock() {
        raw_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, syscall_argument(&blocked_), 0, sizeof blocked_);
    }
    ProgramSignalBlock(const ProgramSignalBlock&) = delete;
    ProgramSignalBlock& operator=(const ProgramSignalBlock&) = delete;

private:
    std::uint64_t blocked_ = ~libc_signals();
};

void take_libc_signals() noexcept {
    const std::uint64_t libcs = libc_signals();
    raw_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, syscall_argument(&libcs), 0, sizeof libcs);
}

}  // namespace

ServiceThread::ServiceThread(const char* name, const char* advice, std::function<void()> body)
    : body_{std::move(body)} {
    const ProgramSignalBlock inherited;  // a thread inherits and keeps the mask of its creator
    try {
        thread_ = std::thread{[this, name] {
            ::pthread_setname_np(::pthread_self(), name);
            ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE,
                                     nullptr);  // a program may cancel threads that it did not create
            take_libc_signals();
            running_.store(1);
            futex_wake(running_);
            body_();
        }};
    } catch (const std::system_error& error) {
        throw_error(error.code().value(), std::string("cannot start the thread ") + name + "; " + advice);
    }
    futex_wait_while(running_, 0);
}

}  // namespace faultline::sys
