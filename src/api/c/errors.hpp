// Error handling of the C interface: `guarded` runs the C++ part of a C function and turns an exception into errno and
// a message.
// No other file of the interface catches exceptions. Functions of src/api/c that can throw use it.
#pragma once

#include <utility>

namespace faultline::api {

/// Sets errno and the thread's message from the exception that is being handled.
void report_exception() noexcept;

/// Returns the thread's message; never null.
const char* error_message() noexcept;

/// Throws std::system_error with EINVAL: the caller passed NULL for `handle` ("pager").
[[noreturn]] void refuse_null(const char* handle);

/// Returns what `call` returns, or `on_failure` if it throws.
template <typename Result, typename Call>
Result guarded(Result on_failure, Call&& call) noexcept {
    try {
        return std::forward<Call>(call)();
    } catch (...) {
        report_exception();
        return on_failure;
    }
}

/// Returns 0, or -1 if `call` throws.
template <typename Call>
int done_or_refused(Call&& call) noexcept {
    return guarded(-1, [&] {
        std::forward<Call>(call)();
        return 0;
    });
}

}  // namespace faultline::api
