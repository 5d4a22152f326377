// Throws for calls on ranges that the kernel refuses.
#pragma once

#include "sys/error.hpp"
#include "sys/mapping_limit.hpp"

#include <cstddef>
#include <string>

namespace faultline::pager {

/// Throws std::system_error with `error`: "cannot WHAT SIZE", followed by `of`. See sys::throw_mapping_error.
[[noreturn]] inline void refuse_range(int error, const std::string& what, std::size_t bytes, const char* of = "") {
    sys::throw_mapping_error(error, "cannot " + what + " " + sys::readable_bytes(bytes) + of);
}

}  // namespace faultline::pager
