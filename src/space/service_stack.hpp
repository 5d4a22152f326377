// A stack in ordinary memory for each thread that needs one: control calls of the pager block all signals, and may then
// not touch a managed page, not even of their own stack. Nobody's code but ours runs there.
#pragma once

#include "space/stack_switch.hpp"

#include <cstdint>

namespace faultline::space {

/// The calling thread's own, made when first asked for; it goes with the thread. Throws std::system_error (ENOMEM).
[[nodiscard]] StackBounds service_stack();

/// Calls `function(unused_below)` on the thread's service stack; the caller's stack is not used below that address. Not
/// from a function that runs there. An exception passes through.
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
