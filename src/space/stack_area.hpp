// StackArea: one region cut into stacks of one size, each with a guard below it:
//
//     | guard | stack 0 | guard | stack 1 | ...        a slot is a guard and the stack above it; stacks grow down
//
// It hands out stacks, calls functions on them, and gives their memory back. A guard is placed when its slot is first
// taken, and stays. What the signal handler needs to know about a stack is in its Slot, in ordinary memory, because the
// handler must not touch managed pages. It is behind the public GuardedStack and StackPool; stack_overflow.cpp decides
// whether a fault is an overflow.
#pragma once

#include "core/signal_safe.hpp"
#include "mmu/signal_fault_source.hpp"
#include "pager/region/region_owner.hpp"
#include "space/stack_switch.hpp"
#include "sys/lazy_array.hpp"

#include <faultline/guarded_stack.hpp>
#include <faultline/region.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

namespace faultline::space {

class StackArea final : public pager::RegionOwner {
public:
    /// Reserves the region. Throws std::system_error; see StackPool.
    StackArea(Pager& pager, const StackPoolOptions& options);
    ~StackArea() override;
    StackArea(const StackArea&) = delete;
    StackArea& operator=(const StackArea&) = delete;

    // Control calls, from any thread, also on managed stacks. They throw std::system_error.

    [[nodiscard]] std::uint32_t take();
    /// Frees the stack for the next `take`. A stack with a pinned page stays taken.
    void give_back(std::uint32_t slot) noexcept;
    [[nodiscard]] std::optional<StackOverflow> run(std::uint32_t slot, void (*call)(void*), void* argument);

    /// Discards the pages of a stack on which nothing runs; of the caller's own stack, only those below the caller's
    /// frame.
    void trim(std::uint32_t slot);
    /// Discards the stack's pages below `stack_pointer`, except pinned ones. Call it on a service stack.
    void trim_below(std::uintptr_t stack_pointer);

    [[nodiscard]] std::size_t taken() const noexcept { return taken_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::size_t capacity() const noexcept { return slots_.size(); }
    [[nodiscard]] RegionStats stats() const { return region_.stats(); }

    // Arithmetic on addresses. Signal-safe.

    [[nodiscard]] StackBounds stack(std::uint32_t slot) const FAULTLINE_SIGNAL_SAFE {
        return {region_.data() + slot * slot_bytes_ + guard_bytes_, slot_bytes_ - guard_bytes_};
    }
    [[nodiscard]] bool contains(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE {
        return address - begin() < region_.size();
    }
    /// Returns the slot of an address inside the area.
    [[nodiscard]] std::uint32_t slot_of(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE {
        return static_cast<std::uint32_t>((address - begin()) / slot_bytes_);
    }
    [[nodiscard]] bool is_guard(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE {
        return contains(address) && (address - begin()) % slot_bytes_ < guard_bytes_;
    }
    /// Returns the description of an overflow at `address`, which is in a guard.
    [[nodiscard]] StackOverflow overflow_at(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE;

    // For the signal handler.

    /// Returns the area that `owner` is, or null.
    [[nodiscard]] static StackArea* from(const pager::RegionOwner* owner) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] const void* kind() const FAULTLINE_SIGNAL_SAFE override;

    /// Returns whether the calling thread is in a `run` on that stack.
    [[nodiscard]] bool runs_here(std::uint32_t slot) const FAULTLINE_SIGNAL_SAFE;
    /// Ends the interrupted thread's `run` with an overflow at `address`: changes `context` so that the handler returns
    /// there.
    void abandon(std::uint32_t slot, std::uintptr_t address, ucontext_t& context) const FAULTLINE_SIGNAL_SAFE;

private:
    struct Slot {
        std::atomic<std::uint64_t> runner;  // token of the thread that is in `run`; 0: none
        // State of the present run. Only the running thread reads and writes it, in `run` and in its signal handler.
        SwitchPoint caller;
        std::uint64_t signal_mask;
        std::uintptr_t overflow;
        std::uint32_t next_free;  // guarded by free_lock_
        bool has_guard;           // accessed by the thread that has taken the slot
    };
    class Running;

    [[nodiscard]] std::uintptr_t begin() const FAULTLINE_SIGNAL_SAFE {
        return reinterpret_cast<std::uintptr_t>(region_.data());
    }
    [[nodiscard]] std::uint32_t take_free_slot();
    void place_guard(std::uint32_t slot);
    void add_to_free_list(std::uint32_t slot) noexcept;
    void empty(std::uintptr_t address, std::size_t bytes);
    [[nodiscard]] Pin pin_top(std::uint32_t slot);

    std::size_t guard_bytes_;
    std::size_t slot_bytes_;
    std::size_t pinned_bytes_;
    std::shared_ptr<pager::Pager> pager_;
    Region region_;
    pager::Region& pages_;  // the region behind region_
    sys::LazyArray<Slot> slots_;
    mmu::FaultInterception interception_;

    std::mutex free_lock_;  // guards the next two; never held over a call of the pager
    std::uint32_t first_free_ = kNone;
    std::uint32_t fresh_ = 0;  // slots from here on were never taken, and have no guard
    std::atomic<std::size_t> taken_{0};

    static constexpr std::uint32_t kNone = 0xffff'ffffU;
};

}  // namespace faultline::space
