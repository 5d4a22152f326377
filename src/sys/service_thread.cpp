#include "sys/service_thread.hpp"

#include "sys/error.hpp"
#include "sys/futex.hpp"
#include "sys/signal_block.hpp"

#include <pthread.h>

#include <string>
#include <system_error>
#include <utility>

namespace faultline::sys {

ServiceThread::ServiceThread(const char* name, const char* advice, std::function<void()> body)
    : body_{std::move(body)} {
    const SignalBlock inherited;  // a thread starts with its maker's mask, and this one keeps it
    try {
        thread_ = std::thread{[this, name] {
            ::pthread_setname_np(::pthread_self(), name);
            ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);  // a program may cancel what it has not made
            running_.store(1);
            futex_wake(running_);
            body_();
        }};
    } catch (const std::system_error& error) {
        throw_error(error.code().value(), std::string("cannot start the thread ") + name + "; " + advice);
    }
    while (running_.load() == 0) futex_wait(running_, 0);
}

}  // namespace faultline::sys
