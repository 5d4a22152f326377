#include "api/c/errors.hpp"

#include "sys/error.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

namespace faultline::api {
namespace {

thread_local std::string last_message;

struct NamePair {
    std::string_view cpp;
    std::string_view c;
};
/// What the library's messages call the fields of options, and what a C program calls them.
constexpr std::array kNamesInC{
    NamePair{"StackPoolOptions::", "faultline_stack_pool_options."},
    NamePair{"RegionOptions::", "faultline_region_options."},
    NamePair{"HeapOptions::", "faultline_heap_options."},
    NamePair{"Config::", "faultline_config."},
};

/// May throw std::bad_alloc.
std::string in_words_of_c(std::string_view message) {
    constexpr std::string_view kOurs = "faultline: ";  // the function's name says as much
    std::string text{message.substr(0, kOurs.size()) == kOurs ? message.substr(kOurs.size()) : message};
    for (const NamePair& wording : kNamesInC) {
        for (std::size_t at = text.find(wording.cpp); at != std::string::npos; at = text.find(wording.cpp, at)) {
            text.replace(at, wording.cpp.size(), wording.c);
        }
    }
    return text;
}

void report(int error, const char* function, std::string_view message) noexcept {
    try {
        last_message = function + (": " + in_words_of_c(message));
    } catch (const std::bad_alloc&) {
        last_message.clear();  // out of memory; errno tells it
    }
    errno = error;
}

}  // namespace

void report_exception(const char* function) noexcept {
    try {
        throw;
    } catch (const std::system_error& failure) {
        report(failure.code().value(), function, failure.what());
    } catch (const std::bad_alloc&) {
        report(ENOMEM, function, "no memory for the library's own bookkeeping");
    } catch (const std::exception& failure) {
        report(EINVAL, function, failure.what());  // the standard library refuses a path or a size
    }
}

const char* error_message() noexcept { return last_message.c_str(); }
void clear_error_message() noexcept { last_message.clear(); }

void refuse_null(const char* name) { sys::throw_error(EINVAL, std::string(name) + " is NULL"); }

void refuse_null_handle(const char* name, const char* made_by) {
    sys::throw_error(EINVAL, std::string(name) + " is NULL (did " + made_by + " fail?)");
}

}  // namespace faultline::api
