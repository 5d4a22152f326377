// CallResource: what a dispatched call holds while it is made. A signal handler of the program may leave the call by
// siglongjmp, and then no destructor runs: the list that a call keeps of its resources is how they are found then.
#pragma once

#include "preload/thread_state.hpp"

namespace faultline::preload {

class CallResource {
public:
    CallResource(const CallResource&) = delete;
    CallResource& operator=(const CallResource&) = delete;

    /// Gives back what the object holds, once. Signal-safe.
    virtual void give_up() noexcept = 0;

    [[nodiscard]] CallResource* next() const noexcept { return next_; }

protected:
    CallResource() noexcept;
    ~CallResource();

private:
    CallResource** head_;  // of the call's list; null outside of calls
    CallResource* next_ = nullptr;
};

}  // namespace faultline::preload
