// Where C++ ends: `guarded` calls what a function for C is about, and turns what it throws into errno and a message.
// The only place of the interface that catches; nothing here knows what was called.
#pragma once

#include <utility>

namespace faultline::api {

/// Of a call whose exception is being handled: sets errno and the thread's message.
void report_exception() noexcept;

/// The thread's message; never null.
const char* error_message() noexcept;

/// Throws std::system_error with EINVAL: the `handle` ("pager") is NULL.
[[noreturn]] void refuse_null(const char* handle);

/// What `call` returns, or `on_failure` after it has thrown.
template <typename Result, typename Call>
Result guarded(Result on_failure, Call&& call) noexcept {
    try {
        return std::forward<Call>(call)();
    } catch (...) {
        report_exception();
        return on_failure;
    }
}

/// 0, or -1 after `call` has thrown.
template <typename Call>
int done_or_refused(Call&& call) noexcept {
    return guarded(-1, [&] {
        std::forward<Call>(call)();
        return 0;
    });
}

}  // namespace faultline::api
