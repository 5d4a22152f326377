// The opaque handles of faultline.h: each is an object that holds one C++ handle. Functions get at it with `checked`.
// The handles add nothing to the C++ ones: no lock, no reference count. Included by every file of C functions that
// takes a handle.
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
    static constexpr const char* kMadeBy = "faultline_pager_create";
};
struct faultline_region {
    faultline::Region cpp;
    static constexpr const char* kName = "region";
    static constexpr const char* kMadeBy = "faultline_region_create";
};
struct faultline_heap {
    faultline::Heap cpp;
    static constexpr const char* kName = "heap";
    static constexpr const char* kMadeBy = "faultline_heap_create";
};
struct faultline_pin {
    faultline::Pin cpp;
};
struct faultline_stack {
    faultline::GuardedStack cpp;
    static constexpr const char* kName = "stack";
    static constexpr const char* kMadeBy = "faultline_stack_create";
};
struct faultline_stack_pool {
    faultline::StackPool cpp;
    static constexpr const char* kName = "pool";
    static constexpr const char* kMadeBy = "faultline_stack_pool_create";
};
struct faultline_alternate_stack {
    faultline::AlternateStack cpp;
};

namespace faultline::api {

/// Returns the C++ handle. Throws std::system_error with EINVAL if `handle` is NULL.
template <typename Handle>
[[nodiscard]] auto& checked(Handle* handle) {
    if (handle == nullptr) refuse_null_handle(Handle::kName, Handle::kMadeBy);
    return handle->cpp;
}

/// Destroys an object whose destruction may be refused; then the handle stays valid. Ignores NULL. `function`:
/// the C function, for the message. Returns 0 or -1.
template <typename Handle>
int destroy_if_possible(const char* function, Handle* handle) noexcept {
    return done_or_refused(function, [&] {
        if (handle == nullptr) return;
        handle->cpp.destroy();
        delete handle;
    });
}

}  // namespace faultline::api
