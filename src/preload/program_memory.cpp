#include "preload/program_memory.hpp"

#include "core/units.hpp"
#include "preload/managed_memory.hpp"
#include "preload/pinned_memory.hpp"
#include "preload/thread_state.hpp"
#include "sys/access_probe.hpp"

#include <algorithm>

namespace faultline::preload {
namespace {

using core::AddressRange;

bool permits(Access access, PinFor purpose) noexcept {
    return purpose == PinFor::writing ? access == Access::read_write : access != Access::none;
}

/// Returns true for the page to which the stack pointer of the call in progress points. Most structures of calls that
/// are made often lie there, and need no system call.
bool is_top_of_stack(std::uintptr_t page) noexcept {
    return page == core::align_down(this_thread.stack_pointer, core::kUnitBytes) && page != 0;
}

/// Returns the first address of the range that the access may not use; the range's end if it may use all of it.
std::uintptr_t first_forbidden(AddressRange unmanaged, PinFor purpose) noexcept {
    for (std::uintptr_t at = unmanaged.begin; at < unmanaged.end;) {
        const std::uintptr_t page = core::align_down(at, core::kUnitBytes);
        const bool usable =
            is_top_of_stack(page) || (purpose == PinFor::writing ? sys::is_writable(page) : sys::is_readable(page));
        if (!usable) return at;
        at = page + core::kUnitBytes;
    }
    return unmanaged.end;
}

std::uintptr_t first_forbidden(const ManagedMemory::Part& part, PinFor purpose) noexcept {
    const pager::Region& region = part.memory.region();
    const core::PageRange pages = part.pages();
    for (std::uint64_t page = pages.first; page < pages.end(); ++page) {
        if (permits(region.load(page).protection(), purpose)) continue;
        return std::max(part.range.begin, core::address_of(region.address_of(page)));
    }
    return part.range.end;
}

}  // namespace

std::uint64_t permitted_bytes(std::uint64_t address, std::uint64_t bytes, PinFor purpose) noexcept {
    AddressRange rest = addresses(address, bytes);
    while (!rest.empty()) {
        const std::optional<ManagedMemory::Part> part = ManagedMemory::first_part(rest);
        const AddressRange unmanaged{rest.begin, part ? part->range.begin : rest.end};
        rest.begin = first_forbidden(unmanaged, purpose);
        if (rest.begin < unmanaged.end || !part) break;
        rest.begin = first_forbidden(*part, purpose);
        if (rest.begin < part->range.end) break;
    }
    return rest.begin - address;
}

bool is_readable_text(std::uint64_t address) noexcept {
    for (;;) {
        const std::uint64_t rest = core::kUnitBytes - address % core::kUnitBytes;
        if (!permits(address, 1, PinFor::reading)) return false;
        touch_managed(address, 1);
        if (std::memchr(reinterpret_cast<const void*>(address), 0, rest) != nullptr) return true;
        address += rest;
    }
}

}  // namespace faultline::preload
