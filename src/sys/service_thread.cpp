#include "sys/service_thread.hpp"

#include "sys/error.hpp"
#include "sys/futex.hpp"
#include "sys/signal_block.hpp"
#include "sys/syscall.hpp"

#include <pthread.h>

#include <csignal>
#include <cstdint>
#include <string>
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

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// A sanitizer's allocator does not survive a fork in the middle of the allocations of a thread that starts.
constexpr bool kWaitForStart = true;
#else
// Waiting costs two switches of threads, and a program has to wait for all threads of a pager before it starts.
constexpr bool kWaitForStart = false;
#endif

void take_libc_signals() noexcept {
    const std::uint64_t libcs = libc_signals();
    raw_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, syscall_argument(&libcs), 0, sizeof libcs);
}

}  // namespace

// Not std::thread: its state would be freed by the new thread, for which the C library sets up 64 MiB of addresses.
ServiceThread::ServiceThread(const char* name, const char* advice, std::function<void()> body)
    : name_{name}, body_{std::move(body)} {
    const ProgramSignalBlock inherited;  // a thread inherits and keeps the mask of its creator
    const auto run = [](void* self) -> void* {
        static_cast<ServiceThread*>(self)->run();
        return nullptr;
    };
    if (const int error = ::pthread_create(&thread_, nullptr, run, this)) {
        throw_error(error, std::string("cannot start the thread ") + name + "; " + advice);
    }
    joinable_ = true;
    if (kWaitForStart) futex_wait_while(running_, 0);
}

void ServiceThread::run() {
    ::pthread_setname_np(::pthread_self(), name_);
    ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);  // a program may cancel threads that it did not create
    take_libc_signals();
    if (kWaitForStart) {
        running_.store(1);
        futex_wake(running_);
    }
    body_();
}

void ServiceThread::join() noexcept {
    if (!joinable_) return;
    joinable_ = false;
    ::pthread_join(thread_, nullptr);
}

}  // namespace faultline::sys
