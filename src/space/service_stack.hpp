// Service stacks: a stack in ordinary memory for each thread that needs one. The pager's control calls block all
// signals, and then must not touch a managed page, not even of the thread's own stack. Only the library's code runs on
// them.
#pragma once

#include "space/stack_switch.hpp"

#include <cstdint>

namespace faultline::space {

/// Returns the calling thread's service stack. Maps it on the first call; it is unmapped when the thread ends. Throws
/// std::system_error (ENOMEM).
[[nodiscard]] StackBounds service_stack();

/// Calls `function(unused_below)` on the thread's service stack. The caller's stack is not used below that address. Do
/// not call it from a function that runs on a service stack. An exception passes through to the caller.
template <typename Function>
void call_on_service_stack(Function function) {
    struct Call {
        Function& function;
        SwitchPoint point;
    } call{function, {}};
    const auto entry = [](void* argument) {
        const Call& mine = *static_cast<const Call*>(argument);
        mine.function(mine.point.unused_below());
    };
    call_on_stack(service_stack(), entry, &call, call.point);
}

}  // namespace faultline::space
