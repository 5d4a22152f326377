#include "preload/call_stacks.hpp"

#include "core/units.hpp"
#include "preload/pinned_memory.hpp"
#include "sys/mapping.hpp"
#include "sys/syscall.hpp"

#include <sys/mman.h>
#include <sys/uio.h>

#include <cerrno>
#include <new>

namespace faultline::preload {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

constexpr std::uint64_t kRedZone = 128;  // bytes below the stack pointer that the program uses
constexpr std::uint64_t kMarkBytes = sizeof(CallStacks::Mark);
constexpr unsigned kLooks = 16;  // entries checked per search for stacks of ended threads

constinit std::atomic<CallStacks*> all_stacks{nullptr};  // every object ever mapped; the list only grows
constinit std::atomic<CallStacks*> cursor{nullptr};

int thread_id() noexcept { return static_cast<int>(raw_syscall(SYS_gettid)); }

bool is_alive(int thread) noexcept { return raw_syscall(SYS_tgkill, raw_syscall(SYS_getpid), thread, 0) != -ESRCH; }

}  // namespace

// ---- CallResource

CallResource::CallResource() noexcept : head_{this_thread.resources} {
    if (head_ == nullptr) return;
    next_ = *head_;
    *head_ = this;
}

CallResource::~CallResource() {
    if (head_ != nullptr && *head_ == this) *head_ = next_;
}

// ---- Slot

/// Reads the mark safely: it lies on a stack of the program, which may be unmapped by now.
bool CallStacks::Slot::is_abandoned() const noexcept {
    std::uint64_t found[2] = {};
    if (is_managed(mark_, kMarkBytes)) {
        const auto* const mark = reinterpret_cast<const volatile std::uint64_t*>(mark_);
        return mark[0] != cookie_ || mark[1] != ~cookie_;
    }
    const iovec into{&found[0], kMarkBytes};
    const iovec from{reinterpret_cast<void*>(mark_), kMarkBytes};
    const long result = raw_syscall(SYS_process_vm_readv, raw_syscall(SYS_getpid), syscall_argument(&into), 1,
                                    syscall_argument(&from), 1, 0);
    if (result == -EFAULT) return true;
    return result == static_cast<long>(kMarkBytes) && (found[0] != cookie_ || found[1] != ~cookie_);
}

void CallStacks::Slot::give_up() noexcept {
    if (!used_) return;
    for (CallResource* each = resources_; each != nullptr; each = each->next()) each->give_up();
    resources_ = nullptr;
    used_ = false;
}

// ---- CallStacks

CallStacks::CallStacks() noexcept {
    substituted_.told.ss_flags = SS_DISABLE;
    const std::uint64_t end = core::address_of(this) + kOwnBytes + kSlots * kSlotBytes;
    for (std::size_t i = 0; i < kSlots; ++i) slots_[i].top_ = end - i * kSlotBytes;
}

CallStacks* CallStacks::map() noexcept {
    std::byte* const begin = sys::map_zeros(kAllBytes);
    if (begin == nullptr) return nullptr;
    if (sys::set_access(begin, kGuardBytes, Access::none) != 0) {
        static_cast<void>(sys::unmap(begin, kAllBytes));
        return nullptr;
    }
    static_assert(sizeof(CallStacks) <= kOwnBytes);
    auto* const made = new (begin + kGuardBytes + kAlternateBytes) CallStacks;
    made->owner_.store(thread_id());
    made->next_ = all_stacks.load();
    while (!all_stacks.compare_exchange_weak(made->next_, made)) {
    }
    return made;
}

/// Checks at most kLooks entries, so that the cost of starting a thread does not grow with the number of threads.
CallStacks* CallStacks::take_from_the_dead(int thread) noexcept {
    CallStacks* at = cursor.load();
    for (unsigned i = 0; i < kLooks; ++i) {
        if (at == nullptr) at = all_stacks.load();
        if (at == nullptr) return nullptr;
        int owner = at->owner_.load();
        if (!is_alive(owner) && at->owner_.compare_exchange_strong(owner, thread)) {
            at->give_up_calls();
            at->substituted_.told = {};
            at->substituted_.told.ss_flags = SS_DISABLE;
            cursor.store(at->next_);
            return at;
        }
        at = at->next_;
    }
    cursor.store(at);
    return nullptr;
}

CallStacks* CallStacks::take() noexcept {
    CallStacks* stacks = take_from_the_dead(thread_id());
    if (stacks == nullptr) stacks = map();
    if (stacks == nullptr) return nullptr;
    const stack_t alternate = stacks->alternate_stack();
    stack_t present{};
    static_cast<void>(raw_syscall(SYS_sigaltstack, 0, syscall_argument(&present)));
    stacks->substituted_.is = (present.ss_flags & SS_DISABLE) != 0;  // else an earlier library has set one
    if (stacks->substituted_.is) static_cast<void>(raw_syscall(SYS_sigaltstack, syscall_argument(&alternate), 0));
    return stacks;
}

void CallStacks::forget_other_threads() noexcept {
    CallStacks* const mine = this_thread.stacks;
    for (CallStacks* each = all_stacks.load(); each != nullptr; each = each->next_) {
        if (each != mine) each->give_up_calls();
    }
    if (mine != nullptr) mine->owner_.store(thread_id());
}

void CallStacks::give_up_calls() noexcept {
    for (Slot& slot : slots_) slot.give_up();
}

CallStacks::Slot* CallStacks::claim(std::uint64_t program_stack) noexcept {
    return claim(*reinterpret_cast<Mark*>(core::align_down(program_stack - kRedZone - kMarkBytes, alignof(Mark))));
}

CallStacks::Slot* CallStacks::claim(Mark& mark) noexcept {
    const std::uint64_t at = core::address_of(&mark);
    const std::uint64_t cookie = ++calls_ ^ at << 16;
    mark.words[0] = cookie;
    mark.words[1] = ~cookie;
    Slot* free = nullptr;
    for (Slot& slot : slots_) {
        if (slot.used_ && slot.is_abandoned()) slot.give_up();
        if (!slot.used_ && free == nullptr) free = &slot;
    }
    if (free == nullptr) return nullptr;
    free->used_ = true;
    free->mark_ = at;
    free->cookie_ = cookie;
    free->resources_ = nullptr;
    return free;
}

CallStacks::Slot* CallStacks::slot_of(const void* address) noexcept {
    const std::uint64_t below_top = slots_[0].top_ - core::address_of(address);
    return below_top <= kSlots * kSlotBytes && below_top > 0 ? &slots_[(below_top - 1) / kSlotBytes] : nullptr;
}

stack_t CallStacks::alternate_stack() const noexcept {
    stack_t stack{};
    stack.ss_sp = reinterpret_cast<void*>(core::address_of(this) - kAlternateBytes);
    stack.ss_size = kAlternateBytes;
    return stack;
}

}  // namespace faultline::preload
