#include "space/service_stack.hpp"

#include "core/units.hpp"
#include "sys/error.hpp"
#include "sys/mapping.hpp"

#include <sys/mman.h>

namespace faultline::space {
namespace {

// Far more than a control call needs, also when it throws; what is not touched costs nothing.
constexpr std::size_t kBytes = std::size_t{256} << 10;

// Without a destructor: stacks that the program keeps in static objects go after the thread's own objects.
constinit thread_local std::byte* mapping = nullptr;

struct UnmapAtExit {
    ~UnmapAtExit() {
        ::munmap(mapping, core::kUnitBytes + kBytes);
        mapping = nullptr;
    }
};

std::byte* map_stack() {
    sys::Mapping fresh = sys::Mapping::reserve(core::kUnitBytes + kBytes, core::kUnitBytes, true, "a service stack");
    if (const int error = fresh.set_part_access(0, core::kUnitBytes, Access::none)) {
        sys::throw_error(error, "cannot guard a service stack; raise `sysctl vm.max_map_count`");
    }
    std::byte* const address = fresh.data();
    fresh.abandon();
    return address;
}

}  // namespace

StackBounds service_stack() {
    if (mapping == nullptr) {
        mapping = map_stack();
        static thread_local const UnmapAtExit unmap_at_exit;  // once for each thread: one made after it stays
    }
    return {mapping + core::kUnitBytes, kBytes};
}

}  // namespace faultline::space
