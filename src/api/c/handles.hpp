// What the opaque handles of faultline.h are: the C++ handles, each in an object of its own. `checked` is how every
// function gets at them.
#pragma once

#include "api/c/errors.hpp"

#include <faultline/faultline.h>
#include <faultline/alternate_stack.hpp>
#include <faultline/guarded_stack.hpp>
#include <faultline/heap.hpp>
#include <faultline/pager.hpp>
#include <faultline/pin.hpp>
#include <faultline/region.hpp>

struct faultline_pager {
    faultline::Pager cpp;
    static constexpr const char* kName = "pager";
};
struct faultline_region {
    faultline::Region cpp;
    static constexpr const char* kName = "region";
};
struct faultline_heap {
    faultline::Heap cpp;
    static constexpr const char* kName = "heap";
};
struct faultline_pin {
    faultline::Pin cpp;
};
struct faultline_stack {
    faultline::GuardedStack cpp;
    static constexpr const char* kName = "stack";
};
struct faultline_stack_pool {
    faultline::StackPool cpp;
    static constexpr const char* kName = "stack pool";
};
struct faultline_alternate_stack {
    faultline::AlternateStack cpp;
};

namespace faultline::api {

/// The C++ handle. Throws std::system_error with EINVAL for NULL.
template <typename Handle>
[[nodiscard]] auto& checked(Handle* handle) {
    if (handle == nullptr) refuse_null(Handle::kName);
    return handle->cpp;
}

/// Destroys what has to be asked, and keeps the handle when the answer is no. NULL is nothing to destroy.
template <typename Handle>
int destroy_if_possible(Handle* handle) noexcept {
    if (handle == nullptr) return 0;
    return done_or_refused([&] {
        handle->cpp.destroy();
        delete handle;
    });
}

}  // namespace faultline::api
