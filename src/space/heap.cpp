// The heap of a Space: brk(2) and sbrk(3) with Linux's semantics (mm/mmap.c and glibc's sbrk.c).

#include "core/units.hpp"
#include "space/space.hpp"

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <system_error>

namespace faultline::space {

using space::AddressRange;
using space::Segment;

namespace {

std::uintptr_t page_end(std::uintptr_t address) noexcept { return core::align_up(address, core::kUnitBytes); }

}  // namespace

std::uintptr_t Space::brk(std::uintptr_t address) {
    require_owner_process();
    const std::lock_guard lock{mutex_};
    static_cast<void>(move_break(address));
    return break_;
}

std::optional<std::uintptr_t> Space::sbrk(std::ptrdiff_t delta) {
    require_owner_process();
    const std::lock_guard lock{mutex_};
    const std::uintptr_t before = break_;
    const std::uintptr_t wanted = before + static_cast<std::uintptr_t>(delta);
    const bool overflows = delta < 0 ? wanted > before : wanted < before;
    if (overflows || !move_break(wanted)) return std::nullopt;
    return before;
}

/// Moves the break. Returns false, and leaves it, if `address` is out of bounds, occupied, or no mapping is left.
bool Space::move_break(std::uintptr_t address) {
    if (address < heap_begin_ || address - heap_begin_ > heap_limit_) return false;
    const AddressRange change{page_end(break_), page_end(address)};
    if (change.end > change.begin) {
        if (!room_for_heap(change.begin, change.end)) return false;
        try {
            add(change, {.kind = SegmentKind::heap, .name = "heap"});
        } catch (const std::system_error&) {
            return false;  // the process has no mapping left; for brk's caller that is lack of room
        }
    } else if (change.end < change.begin) {
        try {
            split_and_remove({change.end, change.begin});
        } catch (const std::system_error& error) {
            if (error.code().value() != ENOMEM) throw;
            return false;  // shrinking may need one more mapping, too
        }
    }
    break_ = address;
    return true;
}

/// Returns whether the heap can grow to `end`. One page above it must stay free.
bool Space::room_for_heap(std::uintptr_t from, std::uintptr_t end) const noexcept {
    const AddressRange wanted{from, end + core::kUnitBytes};
    return low_->range().contains(wanted) && segments_.is_free(wanted);
}

}  // namespace faultline::space
