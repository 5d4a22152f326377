#include "sys/service_thread.hpp"

#include "core/units.hpp"
#include "sys/error.hpp"
#include "sys/futex.hpp"
#include "sys/mapping.hpp"
#include "sys/own_place.hpp"
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

// More than the thread needs that needs most, the one that writes for a fork. Untouched pages cost nothing.
constexpr std::size_t kStackBytes = std::size_t{512} << 10;
constexpr std::size_t kGuardBytes = core::kUnitBytes;

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
    if (const int error = create(run)) {
        throw_error(error, std::string("cannot start the thread ") + name + "; " + advice);
    }
    joinable_ = true;
    if (kWaitForStart) futex_wait_while(running_, 0);
}

/// Returns 0 or an errno.
int ServiceThread::create(void* (*function)(void*)) {
    stack_ = OwnPlace::take(kGuardBytes + kStackBytes, core::kUnitBytes, OwnPlace::InChild::free);
    if (stack_ != nullptr) {
        pthread_attr_t attributes;
        int error = set_access(stack_ + kGuardBytes, kStackBytes, Access::read_write);
        if (error == 0) error = ::pthread_attr_init(&attributes);
        if (error == 0) {
            error = ::pthread_attr_setstack(&attributes, stack_ + kGuardBytes, kStackBytes);
            if (error == 0) error = ::pthread_create(&thread_, &attributes, function, this);
            ::pthread_attr_destroy(&attributes);
        }
        if (error == 0) return 0;
        give_back_stack();  // it may be too small for the program's thread-local storage
    }
    return ::pthread_create(&thread_, nullptr, function, this);
}

void ServiceThread::give_back_stack() noexcept {
    if (stack_ != nullptr) OwnPlace::give_back(std::exchange(stack_, nullptr), kGuardBytes + kStackBytes);
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
    give_back_stack();
}

}  // namespace faultline::sys
