// CallResource: something that a dispatched call holds until it returns (pins, copies).
// A signal handler of the program may leave a call by siglongjmp, and then no destructor runs. Each call therefore
// keeps a list of its resources, from which CallStacks releases those of an abandoned call.
#pragma once

#include "preload/thread_state.hpp"

namespace faultline::preload {

class CallResource {
public:
    CallResource(const CallResource&) = delete;
    CallResource& operator=(const CallResource&) = delete;

    /// Releases what the object holds; further calls do nothing. Signal-safe.
    virtual void give_up() noexcept = 0;

    [[nodiscard]] CallResource* next() const noexcept { return next_; }

protected:
    CallResource() noexcept;
    ~CallResource();

private:
    CallResource** head_;  // of the call's list; null outside calls
    CallResource* next_ = nullptr;
};

}  // namespace faultline::preload
