#include "space/stack_area.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "pager/pager.hpp"
#include "pager/region/fault_path_section.hpp"
#include "pager/region/region_map.hpp"
#include "space/exception_state.hpp"
#include "space/sanitizer_switch.hpp"
#include "space/service_stack.hpp"
#include "space/stack_overflow.hpp"
#include "sys/cpu.hpp"
#include "sys/error.hpp"
#include "sys/syscall.hpp"

#include <faultline/alternate_stack.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <system_error>

namespace faultline::space {
namespace {

constexpr char kStackArea{};  // its address tells stack areas from other owners of regions

std::size_t whole_pages(std::size_t bytes, const char* what) {
    if (bytes > core::kUserAddressEnd) {
        sys::throw_error(ENOMEM, std::string(what) + " of " + sys::readable_bytes(bytes) + " is too large");
    }
    return core::align_up(bytes, core::kUnitBytes);
}

const StackPoolOptions& checked(const StackPoolOptions& options) {
    if (options.stack_bytes == 0) sys::throw_error(EINVAL, "invalid StackPoolOptions: stack_bytes is 0");
    if (options.stacks == 0 || options.stacks > 0x7fff'ffff) {
        sys::throw_error(EINVAL, "invalid StackPoolOptions: stacks is " + std::to_string(options.stacks) +
                                     "; allowed are 1 to 2147483647");
    }
    if (options.pinned_bytes > options.stack_bytes) {
        sys::throw_error(EINVAL, "invalid StackPoolOptions: pinned_bytes is larger than stack_bytes");
    }
    return options;
}

/// Returns the bytes of all slots: stacks and their guards.
std::size_t area_bytes(std::size_t slot_bytes, std::size_t stacks) {
    if (stacks > core::kUserAddressEnd / slot_bytes) {
        sys::throw_error(ENOMEM, std::to_string(stacks) + " stacks of " + sys::readable_bytes(slot_bytes) +
                                     " do not fit into the 128 TiB of user addresses");
    }
    return slot_bytes * stacks;
}

pager::Region& pages_behind(const Region& region) {
    const pager::FaultPathSection section;
    return *pager::RegionMap::find(core::address_of(region.data()));
}

std::uint64_t signal_mask() noexcept {
    std::uint64_t mask = 0;
    sys::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, 0, sys::syscall_argument(&mask), sizeof mask);
    return mask;
}

}  // namespace

StackArea::StackArea(Pager& pager, const StackPoolOptions& options)
    : guard_bytes_{std::max(whole_pages(checked(options).guard_bytes, "a guard"), core::kUnitBytes)},
      slot_bytes_{guard_bytes_ + whole_pages(options.stack_bytes, "a stack")},
      pinned_bytes_{core::align_up(options.pinned_bytes, core::kUnitBytes)},
      pager_{pager.pager_},
      region_{pager.reserve(area_bytes(slot_bytes_, options.stacks))},
      pages_{pages_behind(region_)},
      slots_{options.stacks, "a table of stacks"},
      interception_{SIGSEGV, &abandon_overflowed_stack} {
    region_.advise(region_.data(), region_.size(), Advice::random);  // the neighbour of a stack in use may be unused
    pages_.set_owner(this);
}

/// Runs on a service stack. Waits for signal handlers that have found the area.
StackArea::~StackArea() {
    if (!pager_->in_owner_process()) return;
    pages_.set_owner(nullptr);
    pager::RegionMap::readers().synchronize();
}

StackArea* StackArea::from(const pager::RegionOwner* owner) FAULTLINE_SIGNAL_SAFE {
    const bool is_area = owner != nullptr && owner->kind() == &kStackArea;
    return is_area ? const_cast<StackArea*>(static_cast<const StackArea*>(owner)) : nullptr;
}

const void* StackArea::kind() const FAULTLINE_SIGNAL_SAFE { return &kStackArea; }

// ---- handing out

std::uint32_t StackArea::take() {
    std::uint32_t slot = kNone;
    call_on_service_stack([&](std::uintptr_t) {
        slot = take_free_slot();
        if (slots_[slot].has_guard) return;
        try {
            place_guard(slot);
        } catch (...) {
            add_to_free_list(slot);
            throw;
        }
    });
    return slot;
}

std::uint32_t StackArea::take_free_slot() {
    const std::lock_guard lock{free_lock_};
    std::uint32_t slot = first_free_;
    if (slot != kNone) {
        first_free_ = slots_[slot].next_free;
    } else {
        if (fresh_ == capacity()) {
            sys::throw_error(ENOMEM, "all " + std::to_string(capacity()) +
                                         " stacks of the pool are in use; raise StackPoolOptions::stacks");
        }
        slot = fresh_++;
    }
    taken_.fetch_add(1, std::memory_order_relaxed);
    return slot;
}

void StackArea::place_guard(std::uint32_t slot) {
    const std::uintptr_t guard = core::address_of(stack(slot).bottom) - guard_bytes_;
    pager_->protector().guard(pages_, {pages_.page_of(guard), guard_bytes_ / core::kUnitBytes});
    slots_[slot].has_guard = true;
}

void StackArea::add_to_free_list(std::uint32_t slot) noexcept {
    const std::lock_guard lock{free_lock_};
    slots_[slot].next_free = first_free_;
    first_free_ = slot;
    taken_.fetch_sub(1, std::memory_order_relaxed);
}

void StackArea::give_back(std::uint32_t slot) noexcept {
    if (!pager_->in_owner_process()) return;
    FAULTLINE_REQUIRE(slots_[slot].runner.load() == 0, "a stack was given back while a function runs on it");
    call_on_service_stack([&](std::uintptr_t) {
        forget_frames(stack(slot).bottom, stack(slot).bytes);
        try {
            empty(core::address_of(stack(slot).bottom), stack(slot).bytes);
        } catch (const std::system_error&) {
            return;  // a system call still uses a page: the stack is not handed out again
        }
        add_to_free_list(slot);
    });
}

// ---- running

/// Owns a stack for a `run` of the calling thread: marks the thread as its runner, sets an alternate signal stack, pins
/// the stack's top and saves the signal mask.
class StackArea::Running {
public:
    Running(StackArea& area, std::uint32_t slot) : mine_{area.slots_[slot]} {
        call_on_service_stack([&](std::uintptr_t) {
            std::uint64_t nobody = 0;
            if (!mine_.runner.compare_exchange_strong(nobody, sys::thread_token())) {
                sys::throw_error(EBUSY, "cannot run on this stack: a function runs on it already");
            }
            try {
                alternate_.emplace();
                pin_ = area.pin_top(slot);
            } catch (...) {
                end();
                throw;
            }
            mine_.signal_mask = signal_mask();
        });
    }
    ~Running() {
        call_on_service_stack([this](std::uintptr_t) { end(); });
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

private:
    void end() noexcept {
        pin_.release();
        alternate_.reset();
        mine_.runner.store(0);
    }

    Slot& mine_;
    std::optional<AlternateStack> alternate_;
    Pin pin_;
};

Pin StackArea::pin_top(std::uint32_t slot) {
    return region_.pin(stack(slot).top() - pinned_bytes_, pinned_bytes_, PinFor::writing);
}

std::optional<StackOverflow> StackArea::run(std::uint32_t slot, void (*call)(void*), void* argument) {
    const Running running{*this, slot};
    const ExceptionState exceptions;
    Slot& mine = slots_[slot];
    if (call_on_stack(stack(slot), call, argument, mine.caller) == CallEnd::returned) return std::nullopt;
    exceptions.restore();
    return overflow_at(mine.overflow);
}

bool StackArea::runs_here(std::uint32_t slot) const FAULTLINE_SIGNAL_SAFE {
    return slots_[slot].runner.load(std::memory_order_relaxed) == sys::thread_token();
}

void StackArea::abandon(std::uint32_t slot, std::uintptr_t address, ucontext_t& context) const FAULTLINE_SIGNAL_SAFE {
    Slot& mine = slots_[slot];
    mine.overflow = address;
    // the kernel's 64 bits are the first of sigset_t
    std::memcpy(&context.uc_sigmask, &mine.signal_mask, sizeof mine.signal_mask);
    abandon_call(context, mine.caller);
}

StackOverflow StackArea::overflow_at(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE {
    const StackBounds used = stack(slot_of(address));
    return {used.bottom, used.bytes, core::address_of(used.top()) - address, reinterpret_cast<const void*>(address)};
}

// ---- giving memory back

/// Discards pages of a stack. Keeps their disk blocks: the next call that goes this deep needs them again.
void StackArea::empty(std::uintptr_t address, std::size_t bytes) {
    pager_->discarder().discard(pages_, {pages_.page_of(address), bytes / core::kUnitBytes}, pager::DiskSpace::keep);
}

void StackArea::trim(std::uint32_t slot) {
    call_on_service_stack([&](std::uintptr_t unused_below) {
        if (contains(unused_below) && slot_of(unused_below) == slot) return trim_below(unused_below);
        Slot& mine = slots_[slot];
        std::uint64_t nobody = 0;
        if (!mine.runner.compare_exchange_strong(nobody, sys::thread_token())) {
            sys::throw_error(EBUSY, "cannot trim this stack: a function runs on it, and only that function can");
        }
        const struct Release {
            Slot& slot;
            ~Release() { slot.runner.store(0); }
        } release{mine};
        empty(core::address_of(stack(slot).bottom), stack(slot).bytes);
    });
}

void StackArea::trim_below(std::uintptr_t stack_pointer) {
    if (!contains(stack_pointer) || is_guard(stack_pointer)) {
        sys::throw_error(EINVAL, "cannot trim: the stack pointer is not in a stack of this pool");
    }
    const std::uint32_t slot = slot_of(stack_pointer);
    const StackBounds all = stack(slot);
    const bool runs = slots_[slot].runner.load() != 0;
    const std::uintptr_t unpinned_end = core::address_of(all.top()) - (runs ? pinned_bytes_ : 0);
    const std::uintptr_t end =
        std::min(core::align_down(stack_pointer, std::uintptr_t{core::kUnitBytes}), unpinned_end);
    if (end > core::address_of(all.bottom)) empty(core::address_of(all.bottom), end - core::address_of(all.bottom));
}

}  // namespace faultline::space
