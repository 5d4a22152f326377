#include "preload/library_call.hpp"

#include "core/units.hpp"
#include "preload/handler_mask.hpp"
#include "preload/memory_calls.hpp"
#include "preload/thread_state.hpp"

#include <cerrno>
#include <cstdint>
#include <optional>

namespace faultline::preload {
namespace {

std::optional<long> answer_of_library(const Call& call) noexcept {
    if (this_thread.inside > 0 || !concerns_managed_memory(call)) return std::nullopt;
    const InLibrary inside;
    const StackPointerScope stack{core::address_of(__builtin_frame_address(0))};
    const HandlerMask mask;
    return answer_memory_call(call);
}

}  // namespace

long make_or_answer(const Call& call) noexcept {
    if (const std::optional<long> answer = answer_of_library(call)) return *answer;
    const auto& a = call.arguments;
    return sys::raw_syscall(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

long result_of_function(long raw) noexcept {
    if (const int error = sys::error_of(raw)) {
        errno = error;
        return -1;
    }
    return raw;
}

}  // namespace faultline::preload
