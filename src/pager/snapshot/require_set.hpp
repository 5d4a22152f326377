// Throws what a call of a mapper returned in a child of fork.
#pragma once

#include "sys/error.hpp"

namespace faultline::pager {

/// Throws std::system_error unless `error` is 0.
inline void require_set(int error) {
    if (error != 0) sys::throw_error(error, "cannot protect memory in a child of fork as it was in its parent");
}

}  // namespace faultline::pager
