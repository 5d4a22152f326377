#include "space/program_break.hpp"

#include "core/units.hpp"

#include <cerrno>
#include <system_error>

namespace faultline::space {

namespace {

std::uintptr_t page_end(std::uintptr_t address) noexcept { return core::align_up(address, core::kUnitBytes); }

}  // namespace

void ProgramBreak::start_as_clone_of(const ProgramBreak& source) noexcept {
    const Arena& mine = segments_.arenas().low();
    const Arena& theirs = source.segments_.arenas().low();
    start(mine.counterpart(theirs, source.begin_), mine.counterpart(theirs, source.break_), source.limit_);
}

std::uintptr_t ProgramBreak::brk(std::uintptr_t address) {
    static_cast<void>(move(address));
    return break_;
}

std::optional<std::uintptr_t> ProgramBreak::sbrk(std::ptrdiff_t delta) {
    const std::uintptr_t before = break_;
    const std::uintptr_t wanted = before + static_cast<std::uintptr_t>(delta);
    const bool overflows = delta < 0 ? wanted > before : wanted < before;
    if (overflows || !move(wanted)) return std::nullopt;
    return before;
}

/// Moves the break. Returns false, and leaves it, if `address` is out of bounds, occupied, or no mapping is left.
bool ProgramBreak::move(std::uintptr_t address) {
    if (address < begin_ || address - begin_ > limit_) return false;
    const AddressRange change{page_end(break_), page_end(address)};
    if (change.end > change.begin) {
        if (!has_room(change.begin, change.end)) return false;
        try {
            segments_.add(change, {.kind = SegmentKind::heap, .name = "heap"});
        } catch (const std::system_error&) {
            return false;  // the process has no mapping left; for brk's caller that is lack of room
        }
    } else if (change.end < change.begin) {
        try {
            segments_.split_and_remove({change.end, change.begin});
        } catch (const std::system_error& error) {
            if (error.code().value() != ENOMEM) throw;
            return false;  // shrinking may need one more mapping, too
        }
    }
    break_ = address;
    return true;
}

/// Returns whether the heap can grow to `end`. One page above it must stay free.
bool ProgramBreak::has_room(std::uintptr_t from, std::uintptr_t end) const noexcept {
    const AddressRange wanted{from, end + core::kUnitBytes};
    return segments_.arenas().low().range().contains(wanted) && segments_.set().is_free(wanted);
}

}  // namespace faultline::space
