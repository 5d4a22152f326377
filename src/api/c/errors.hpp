// Error handling of the C interface: `guarded` runs the C++ part of a C function and turns an exception into errno and
// a message.
// No other file of the interface catches exceptions. Functions of src/api/c that can throw use it.
#pragma once

#include <utility>

namespace faultline::api {

/// Sets errno and the thread's message from the exception that is being handled. The message begins with `function`.
void report_exception(const char* function) noexcept;

/// Returns the thread's message; never null.
const char* error_message() noexcept;
void clear_error_message() noexcept;

/// Throws std::system_error with EINVAL: the caller passed NULL for the parameter `name`.
[[noreturn]] void refuse_null(const char* name);
/// Does so for a handle, which the function `made_by` returns.
[[noreturn]] void refuse_null_handle(const char* name, const char* made_by);

/// Returns what `call` returns, or `on_failure` if it throws. `function`: the name of the C function.
template <typename Result, typename Call>
Result guarded(const char* function, Result on_failure, Call&& call) noexcept {
    clear_error_message();
    try {
        return std::forward<Call>(call)();
    } catch (...) {
        report_exception(function);
        return on_failure;
    }
}

/// Returns 0, or -1 if `call` throws.
template <typename Call>
int done_or_refused(const char* function, Call&& call) noexcept {
    return guarded(function, -1, [&] {
        std::forward<Call>(call)();
        return 0;
    });
}

}  // namespace faultline::api
