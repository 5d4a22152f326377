#include "api/c/errors.hpp"

#include "sys/error.hpp"

#include <cerrno>
#include <exception>
#include <new>
#include <string>
#include <system_error>

namespace faultline::api {
namespace {

thread_local std::string last_message;

void report(int error, const char* message) noexcept {
    try {
        last_message = message;
    } catch (const std::bad_alloc&) {
        last_message.clear();  // out of memory; errno tells it
    }
    errno = error;
}

}  // namespace

void report_exception() noexcept {
    try {
        throw;
    } catch (const std::system_error& failure) {
        report(failure.code().value(), failure.what());
    } catch (const std::bad_alloc&) {
        report(ENOMEM, "faultline: no memory for the library's own bookkeeping");
    } catch (const std::exception& failure) {
        report(EINVAL, failure.what());  // the standard library refuses a path or a size
    }
}

const char* error_message() noexcept { return last_message.c_str(); }

void refuse_null(const char* handle) {
    sys::throw_error(EINVAL, std::string("argument is NULL: ") + handle + " is required");
}

}  // namespace faultline::api
