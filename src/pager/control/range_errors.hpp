// Throws for calls on ranges that the kernel refuses.
#pragma once

#include "sys/error.hpp"

#include <cerrno>
#include <cstddef>
#include <string>

namespace faultline::pager {

/// Throws std::system_error with `error`: "cannot WHAT SIZE", followed by `of`. ENOMEM names the sysctl that bounds
/// mappings.
[[noreturn]] inline void refuse_range(int error, const std::string& what, std::size_t bytes, const char* of = "") {
    sys::throw_error(error, "cannot " + what + " " + sys::readable_bytes(bytes) + of +
                                (error == ENOMEM ? "; raise `sysctl vm.max_map_count`" : ""));
}

}  // namespace faultline::pager
