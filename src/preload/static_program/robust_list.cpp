#include "preload/static_program/robust_list.hpp"

#include "preload/calls.hpp"
#include "preload/program_memory.hpp"
#include "sys/syscall.hpp"

#include <linux/futex.h>

#include <atomic>
#include <optional>

namespace faultline::preload {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

constexpr std::uint64_t kPriorityInheritance = 1;  // in the lowest bit of a list entry's address

void give_up_word(std::uint64_t address, std::uint32_t thread) noexcept {
    if (!permits(address, sizeof(std::uint32_t), PinFor::writing)) return;
    std::atomic_ref word{*pointer<std::uint32_t>(address)};
    std::uint32_t seen = word.load();
    do {
        if ((seen & FUTEX_TID_MASK) != thread) return;
    } while (!word.compare_exchange_weak(seen, (seen & FUTEX_WAITERS) | FUTEX_OWNER_DIED));
    if ((seen & FUTEX_WAITERS) != 0) static_cast<void>(raw_syscall(SYS_futex, address, FUTEX_WAKE, 1));
}

void give_up_entry(const robust_list_head& head, std::uint64_t entry, std::uint32_t thread) noexcept {
    if ((entry & kPriorityInheritance) != 0) return;
    give_up_word(entry + static_cast<std::uint64_t>(head.futex_offset), thread);
}

/// `head` is a copy of what lies at `address`.
void give_up_all(const robust_list_head& head, std::uint64_t address) noexcept {
    const auto thread = static_cast<std::uint32_t>(raw_syscall(SYS_gettid));
    auto entry = syscall_argument(head.list.next);
    for (unsigned i = 0; i < ROBUST_LIST_LIMIT && (entry & ~kPriorityInheritance) != address; ++i) {
        const std::optional<robust_list> next = load<robust_list>(entry & ~kPriorityInheritance);
        if (!next) return;
        give_up_entry(head, entry, thread);
        entry = syscall_argument(next->next);
    }
    if (const auto pending = syscall_argument(head.list_op_pending)) give_up_entry(head, pending, thread);
}

}  // namespace

RobustList::RobustList() noexcept {
    static_cast<void>(raw_syscall(SYS_get_robust_list, 0, syscall_argument(&head_), syscall_argument(&bytes_)));
}

void RobustList::give_up() const noexcept {
    const RobustList now;
    if (now.head_ == head_) return;
    static_cast<void>(raw_syscall(SYS_set_robust_list, head_, bytes_));
    if (const auto head = load<robust_list_head>(now.head_)) give_up_all(*head, now.head_);
}

}  // namespace faultline::preload
