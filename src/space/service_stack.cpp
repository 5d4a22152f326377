#include "space/service_stack.hpp"

#include "core/units.hpp"
#include "sys/mapping.hpp"
#include "sys/mapping_limit.hpp"

#include <sys/mman.h>

namespace faultline::space {
namespace {

// More than any control call needs, even when it throws. Untouched pages cost nothing.
constexpr std::size_t kBytes = std::size_t{256} << 10;

// A plain pointer: static objects of the program that own stacks are destroyed after the thread's own objects.
constinit thread_local std::byte* mapping = nullptr;

struct UnmapAtExit {
    ~UnmapAtExit() {
        static_cast<void>(sys::unmap(mapping, core::kUnitBytes + kBytes));
        mapping = nullptr;
    }
};

std::byte* map_stack() {
    sys::Mapping fresh = sys::Mapping::reserve(core::kUnitBytes + kBytes, core::kUnitBytes, true, "a service stack");
    if (const int error = fresh.set_part_access(0, core::kUnitBytes, Access::none)) {
        sys::throw_mapping_error(error, "cannot protect the guard page of a service stack");
    }
    std::byte* const address = fresh.data();
    fresh.abandon();
    return address;
}

}  // namespace

StackBounds service_stack() {
    if (mapping == nullptr) {
        mapping = map_stack();
        // once per thread; a stack mapped after its destruction is leaked
        static thread_local const UnmapAtExit unmap_at_exit;
    }
    return {mapping + core::kUnitBytes, kBytes};
}

}  // namespace faultline::space
