// The public handles GuardedStack and StackPool: they check the program's arguments and forward to StackArea.

#include <faultline/guarded_stack.hpp>

#include "core/units.hpp"
#include "pager/region/fault_path_section.hpp"
#include "pager/region/region.hpp"
#include "pager/region/region_map.hpp"
#include "space/service_stack.hpp"
#include "space/stack_area.hpp"
#include "sys/error.hpp"

#include <cerrno>
#include <utility>

namespace faultline {
namespace {

using space::StackArea;

// The bytes below the stack pointer that a leaf function may use (System V ABI).
constexpr std::uintptr_t kRedZoneBytes = 128;

/// Deletes the area on a service stack: the last handle may be destroyed on a managed stack, even one of this pool.
void destroy(StackArea* area) {
    space::call_on_service_stack([area](std::uintptr_t) { delete area; });
}

std::shared_ptr<StackArea> make_area(Pager& pager, const StackPoolOptions& options) {
    StackArea* area = nullptr;
    space::call_on_service_stack([&](std::uintptr_t) { area = new StackArea{pager, options}; });
    return {area, &destroy};
}

StackArea& alive(const std::shared_ptr<StackArea>& area) {
    if (!area) sys::throw_error(EINVAL, "cannot use this stack or pool: it was moved from, or never made");
    return *area;
}

}  // namespace

bool v0::trim_current_stack() {
    bool trimmed = false;
    space::call_on_service_stack([&](std::uintptr_t unused_below) {
        StackArea* area = nullptr;
        {
            const pager::FaultPathSection section;
            const pager::Region* const region = pager::RegionMap::find(unused_below);
            if (region != nullptr) area = StackArea::from(region->owner());
        }
        if (area == nullptr) return;
        area->trim_below(unused_below);  // on the caller's stack, so the area lives as long as the call
        trimmed = true;
    });
    return trimmed;
}

// ---- GuardedStack

GuardedStack::GuardedStack() noexcept = default;
GuardedStack::GuardedStack(std::shared_ptr<StackArea> area, std::uint32_t slot) noexcept
    : area_{std::move(area)}, slot_{slot} {}
GuardedStack::GuardedStack(GuardedStack&& other) noexcept : area_{std::move(other.area_)}, slot_{other.slot_} {}

GuardedStack& GuardedStack::operator=(GuardedStack&& other) noexcept {
    if (this == &other) return *this;
    release();
    area_ = std::move(other.area_);
    slot_ = other.slot_;
    return *this;
}

GuardedStack::GuardedStack(Pager& pager, std::size_t bytes) {
    StackPoolOptions options;
    options.stack_bytes = bytes;
    options.stacks = 1;
    area_ = make_area(pager, options);
    slot_ = area_->take();
}

GuardedStack::~GuardedStack() { release(); }

void GuardedStack::release() noexcept {
    if (!area_) return;
    area_->give_back(slot_);
    area_.reset();
}

std::optional<StackOverflow> GuardedStack::run_erased(void (*call)(void*), void* argument) {
    return alive(area_).run(slot_, call, argument);
}

void GuardedStack::trim() { alive(area_).trim(slot_); }

std::span<std::byte> GuardedStack::memory() const noexcept {
    if (!area_) return {};
    const space::StackBounds stack = area_->stack(slot_);
    return {stack.bottom, stack.bytes};
}

// ---- StackPool

StackPool::StackPool(Pager& pager, StackPoolOptions options) : area_{make_area(pager, options)} {}
StackPool::StackPool(std::shared_ptr<StackArea> area) noexcept : area_{std::move(area)} {}

GuardedStack StackPool::take() { return GuardedStack{area_, alive(area_).take()}; }

std::span<std::byte> StackPool::take_memory() {
    const space::StackBounds stack = area_->stack(alive(area_).take());
    return {stack.bottom, stack.bytes};
}

void StackPool::give_back(std::span<std::byte> memory) noexcept {
    if (area_) area_->give_back(area_->slot_of(core::address_of(memory.data())));
}

void StackPool::trim(const void* stack_pointer) {
    StackArea& area = alive(area_);
    space::call_on_service_stack(
        [&](std::uintptr_t) { area.trim_below(core::address_of(stack_pointer) - kRedZoneBytes); });
}

std::size_t StackPool::taken() const noexcept { return area_ ? area_->taken() : 0; }
std::size_t StackPool::capacity() const noexcept { return area_ ? area_->capacity() : 0; }
RegionStats StackPool::stats() const { return alive(area_).stats(); }

}  // namespace faultline
