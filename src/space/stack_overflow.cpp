#include "space/stack_overflow.hpp"

#include "core/units.hpp"
#include "pager/region/fault_path_section.hpp"
#include "pager/region/region.hpp"
#include "pager/region/region_map.hpp"
#include "pager/region/region_reader.hpp"
#include "space/stack_area.hpp"
#include "sys/fixed_text.hpp"

#include <faultline/guarded_stack.hpp>

#include <cstdint>

namespace faultline {
namespace {

using pager::Region;
using pager::RegionMap;
using space::StackArea;

/// Returns the stack area that contains `address`, or null. The caller is inside a reader section of
/// RegionMap::readers().
StackArea* area_at(std::uintptr_t address) FAULTLINE_SIGNAL_SAFE {
    const Region* const region = RegionMap::find(address);
    return region != nullptr ? StackArea::from(region->owner()) : nullptr;
}

void report(const StackOverflow& overflow) FAULTLINE_SIGNAL_SAFE {
    const std::uintptr_t bottom = core::address_of(overflow.stack);
    sys::FixedText<256> line;
    line << "faultline: stack overflow: ";
    line.address(core::address_of(overflow.address)) << " was accessed, ";
    line.decimal(overflow.depth) << " bytes deep in the stack of ";
    line.decimal(overflow.stack_bytes) << " bytes from ";
    line.address(bottom) << " to ";
    line.address(bottom + overflow.stack_bytes) << "\n";
    line.write_to_standard_error();
}

/// Returns whether a thread with this stack pointer reached the guard of `slot` by using its stack, and not through a
/// stray pointer from elsewhere.
bool uses_stack(const StackArea& area, std::uint32_t slot, std::uintptr_t stack_pointer) FAULTLINE_SIGNAL_SAFE {
    const std::uintptr_t top = core::address_of(area.stack(slot).top());
    if (area.contains(stack_pointer) && area.slot_of(stack_pointer) == slot) return true;
    // A single large frame may reach past the guard. Then the stack pointer is in the next stack down, or below the
    // area.
    constexpr std::uintptr_t kLargestFrame = std::uintptr_t{1} << 20;
    if (stack_pointer >= top || top - stack_pointer > area.stack(slot).bytes + kLargestFrame) return false;
    const bool in_other_run = area.contains(stack_pointer) && area.runs_here(area.slot_of(stack_pointer));
    return area.runs_here(slot) && !in_other_run;
}

}  // namespace

bool space::abandon_overflowed_stack(const siginfo_t& info, ucontext_t& context) noexcept {
    const std::uintptr_t address = core::address_of(info.si_addr);
    const pager::RegionReader reader;
    const StackArea* const area = area_at(address);
    if (area == nullptr || !area->is_guard(address)) return false;
    const std::uint32_t slot = area->slot_of(address);
    if (!uses_stack(*area, slot, static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RSP]))) return false;
    if (!area->runs_here(slot)) {
        report(area->overflow_at(address));
        return false;
    }
    area->abandon(slot, address, context);
    return true;
}

std::optional<StackOverflow> stack_overflow_at(const void* address) noexcept {
    const pager::FaultPathSection section;
    const std::uintptr_t at = core::address_of(address);
    const StackArea* const area = area_at(at);
    if (area == nullptr || !area->is_guard(at)) return std::nullopt;
    return area->overflow_at(at);
}

}  // namespace faultline
