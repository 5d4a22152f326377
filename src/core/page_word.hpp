// PageWord: the state of one page, in 64 bits. It is a value: a table::PageTable holds the words, and the pager changes
// them by compare-exchange only. Each legal transition is one function below; it asserts its start state.
//
//   bits 0-2   state           bit 6      waiters: threads sleep on the low half (a futex) or in the kernel
//   bit  3     dirty           bits 8-9   protection (faultline::Access)
//   bit  4     has_slot        bits 10-21 pins; bit 22 guard: no access while the region lives
//   bit  5     writing         bits 32-63 payload: frame id (resident, evicting), staging unit (staged, and filling
//   bit  7     from_staging               from staging), core::Departure (stored)
//   bit  23    written_before             bit 24     checksummed
//
// Invariants:
//   dirty         the frame's bytes are newer than the page's home (its slot, or zeros if it has none)
//   resident      the program can write without a fault  <=>  dirty (and the protection allows writes)
//   writing       a write of the page to its slot is in flight: no thread may start a second write or move its staged
//                 bytes
//   from_staging  a thread is filling the page from the staging unit in the payload: that unit must not change
//   checksummed   resident, evicting: the page was mapped writable before a write to it. FrameTable has the checksum of
//                 the bytes in its slot, which tells whether the page has changed. So it is dirty only maybe
//   written_before  stored: when the page last left, it had been written to since it came from the store. A hint: it
//                 will be written to again. Resident without a slot: it came from the store, which gave the bytes up
//   filling       also used while a resident page is made writable, or while a staged page is dropped
//   filling, evicting  the thread that set the state owns the page; all other threads wait
//
// The word of a page that was never touched is 0. So the table of an untouched region needs no memory.
#pragma once

#include "core/check.hpp"
#include "core/departure.hpp"

#include <faultline/types.hpp>

#include <compare>
#include <cstdint>

namespace faultline::core {

enum class PageState : std::uint8_t {
    empty,     ///< The page has no bytes: it reads as zeros.
    stored,    ///< Only the store has the bytes.
    filling,   ///< One thread is bringing the page in. Its frame is reserved.
    resident,  ///< Mapped where the program sees it.
    evicting,  ///< One thread is unmapping the page.
    staged,    ///< Unmapped. The bytes are in the staging area and do not change. The frame is still held.
    poisoned,  ///< The store could not return the bytes: an access raises SIGBUS.
};

class PageWord;
[[nodiscard]] constexpr PageState home_of(PageWord word) noexcept;
[[nodiscard]] constexpr bool is_evictable(PageWord word) noexcept;

class PageWord {
public:
    static constexpr std::uint64_t kMaxPins = 4095;

    constexpr PageWord() noexcept = default;
    constexpr explicit PageWord(std::uint64_t bits) noexcept : bits_{bits} {}

    [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }
    [[nodiscard]] constexpr PageState state() const noexcept { return static_cast<PageState>(bits_ & kStateMask); }
    [[nodiscard]] constexpr bool is(PageState state_wanted) const noexcept { return state() == state_wanted; }
    [[nodiscard]] constexpr bool dirty() const noexcept { return (bits_ & kDirty) != 0; }
    [[nodiscard]] constexpr bool has_slot() const noexcept { return (bits_ & kHasSlot) != 0; }
    [[nodiscard]] constexpr bool writing() const noexcept { return (bits_ & kWriting) != 0; }
    [[nodiscard]] constexpr bool written_before() const noexcept { return (bits_ & kWrittenBefore) != 0; }
    [[nodiscard]] constexpr bool checksummed() const noexcept { return (bits_ & kChecksummed) != 0; }
    [[nodiscard]] constexpr bool waiters() const noexcept { return (bits_ & kWaiters) != 0; }
    /// Returns the accesses that the program may make: none on a guard page.
    [[nodiscard]] constexpr Access protection() const noexcept {
        return guarded() ? Access::none : static_cast<Access>((bits_ >> kProtectionShift) & 3U);
    }
    /// True for a guard page: no access while the region lives. The mapper decides how it is enforced.
    [[nodiscard]] constexpr bool guarded() const noexcept { return (bits_ & kGuard) != 0; }
    [[nodiscard]] constexpr std::uint64_t pins() const noexcept { return (bits_ >> kPinShift) & kMaxPins; }
    [[nodiscard]] constexpr std::uint32_t payload() const noexcept { return static_cast<std::uint32_t>(bits_ >> 32); }

    /// True while one thread owns the page. That thread will publish a new state.
    [[nodiscard]] constexpr bool busy() const noexcept { return is(PageState::filling) || is(PageState::evicting); }
    /// True while a thread fills the page from staging unit `unit`.
    [[nodiscard]] constexpr bool leaving_slot(std::uint32_t unit) const noexcept {
        return (bits_ & kFromStaging) != 0 && payload() == unit;
    }

    // The legal transitions. Each asserts the state that it starts from (FAULTLINE_INVARIANT).

    /// empty, stored, staged, poisoned -> filling. Keeps the payload: the staging unit to fill from, or the departure.
    [[nodiscard]] constexpr PageWord claimed_for_fill() const noexcept {
        FAULTLINE_INVARIANT(!busy() && !is(PageState::resident));
        return with_state(PageState::filling).with_flag(kFromStaging, is(PageState::staged));
    }
    /// filling -> resident.
    [[nodiscard]] constexpr PageWord filled(std::uint32_t frame, bool now_dirty) const noexcept {
        FAULTLINE_INVARIANT(is(PageState::filling));
        return with_state(PageState::resident).with_dirty(now_dirty).with_payload(frame).unchecked().released();
    }
    /// filling -> resident and writable: the store has given up the bytes, since the page will be written to again.
    [[nodiscard]] constexpr PageWord filled_for_good(std::uint32_t frame) const noexcept {
        return filled(frame, true).without_slot_again();
    }
    /// filling -> resident and writable, with the checksum of its slot in FrameTable.
    [[nodiscard]] constexpr PageWord filled_with_checksum(std::uint32_t frame) const noexcept {
        return filled(frame, true).with_flag(kChecksummed, true);
    }
    /// filling -> `back_to`, the state before the claim. No frame was available, or the store had a transient error.
    [[nodiscard]] constexpr PageWord fill_abandoned(PageState back_to) const noexcept {
        FAULTLINE_INVARIANT(is(PageState::filling));
        return with_state(back_to).released();
    }
    /// filling -> poisoned.
    [[nodiscard]] constexpr PageWord fill_failed() const noexcept {
        FAULTLINE_INVARIANT(is(PageState::filling));
        return with_state(PageState::poisoned).with_payload(0).released();
    }
    /// resident -> filling, to change whether the page is writable. The caller then publishes `change_ended`, or
    /// `filled` if the slot was written meanwhile.
    [[nodiscard]] constexpr PageWord claimed_for_change() const noexcept {
        FAULTLINE_INVARIANT(is(PageState::resident));
        return with_state(PageState::filling);
    }
    /// filling -> resident, after claimed_for_change: the page keeps its frame and its checksum.
    [[nodiscard]] constexpr PageWord change_ended(bool now_dirty) const noexcept {
        FAULTLINE_INVARIANT(is(PageState::filling));
        return with_state(PageState::resident).with_dirty(now_dirty).released();
    }
    /// The same, for the first write to a page, if the store has given up the bytes.
    [[nodiscard]] constexpr PageWord change_ended_for_good() const noexcept {
        return change_ended(true).without_slot_again();
    }
    /// resident -> evicting.
    [[nodiscard]] constexpr PageWord claimed_for_eviction() const noexcept {
        FAULTLINE_INVARIANT(is_evictable(*this));
        return with_state(PageState::evicting);
    }
    /// evicting -> resident: the kernel holds the page, so it could not be unmapped.
    [[nodiscard]] constexpr PageWord eviction_refused() const noexcept {
        FAULTLINE_INVARIANT(is(PageState::evicting));
        return with_state(PageState::resident).released();
    }
    /// evicting -> staged.
    [[nodiscard]] constexpr PageWord staged(std::uint32_t unit) const noexcept {
        FAULTLINE_INVARIANT(is(PageState::evicting));
        return with_state(PageState::staged).with_payload(unit).unchecked().released();
    }
    /// evicting, or filling from staging -> stored or empty. The page must be clean.
    [[nodiscard]] constexpr PageWord evicted(Departure departure) const noexcept {
        FAULTLINE_INVARIANT(busy() && !dirty());
        return with_state(home_of(*this)).with_payload(has_slot() ? departure.payload() : 0).unchecked().released();
    }
    /// filling or evicting -> empty, by the owner. Keeps `writing`, because a write in flight still ends; keeps
    /// the protection.
    [[nodiscard]] constexpr PageWord discarded() const noexcept {
        FAULTLINE_INVARIANT(busy());
        return PageWord{bits_ & (kWriting | kAccess)};
    }

    /// empty -> stored: the store has had bytes for this page from the start (a file's pages). The payload is
    /// `departure`.
    [[nodiscard]] constexpr PageWord found_in_store(Departure departure) const noexcept {
        FAULTLINE_INVARIANT(is(PageState::empty));
        return with_slot(true).with_state(PageState::stored).with_payload(departure.payload());
    }

    /// Not busy -> stored or empty, in a child of fork: the child has only what the store holds. Keeps pins.
    [[nodiscard]] constexpr PageWord reset_in_child(Departure departure) const noexcept {
        FAULTLINE_INVARIANT(!busy() && !is(PageState::staged));
        return with_state(home_of(*this))
            .with_payload(has_slot() ? departure.payload() : 0)
            .with_dirty(false)
            .unchecked()
            .released();
    }

    /// Sets the waiters mark, or clears that of a page without an owner. The thread that clears `writing` clears the
    /// mark, too, and then wakes the threads that sleep until the write ends.
    [[nodiscard]] constexpr PageWord with_waiters(bool on) const noexcept {
        FAULTLINE_INVARIANT(on || !busy());
        return with_flag(kWaiters, on);
    }
    [[nodiscard]] constexpr PageWord with_dirty(bool on) const noexcept { return with_flag(kDirty, on); }
    [[nodiscard]] constexpr PageWord with_slot(bool on) const noexcept { return with_flag(kHasSlot, on); }
    [[nodiscard]] constexpr PageWord with_writing(bool on) const noexcept { return with_flag(kWriting, on); }
    [[nodiscard]] constexpr PageWord with_written_before(bool on) const noexcept {
        return with_flag(kWrittenBefore, on);
    }
    [[nodiscard]] constexpr PageWord with_protection(Access access) const noexcept {
        return PageWord{(bits_ & ~kAccess) | (static_cast<std::uint64_t>(access) << kProtectionShift)};
    }
    [[nodiscard]] constexpr PageWord with_guard() const noexcept { return PageWord{bits_ | kGuard}; }
    [[nodiscard]] constexpr PageWord with_pin_added() const noexcept {
        FAULTLINE_INVARIANT(pins() < kMaxPins);
        return PageWord{bits_ + (std::uint64_t{1} << kPinShift)};
    }
    [[nodiscard]] constexpr PageWord with_pin_removed() const noexcept {
        FAULTLINE_INVARIANT(pins() > 0);
        return PageWord{bits_ - (std::uint64_t{1} << kPinShift)};
    }

    friend constexpr bool operator==(PageWord, PageWord) noexcept = default;

private:
    /// Ends ownership: clears the waiters mark and from_staging. The caller wakes the waiters (PageTable::publish).
    [[nodiscard]] constexpr PageWord released() const noexcept { return PageWord{bits_ & ~(kWaiters | kFromStaging)}; }

    /// Keeps, without a slot, that the page came from the store.
    [[nodiscard]] constexpr PageWord without_slot_again() const noexcept {
        return with_slot(false).with_written_before(true);
    }

    /// Ends the use of the checksum: FrameTable's does not belong to the page any more.
    [[nodiscard]] constexpr PageWord unchecked() const noexcept { return PageWord{bits_ & ~kChecksummed}; }

    static constexpr std::uint64_t kStateMask = 7;
    static constexpr std::uint64_t kDirty = 1U << 3;
    static constexpr std::uint64_t kHasSlot = 1U << 4;
    static constexpr std::uint64_t kWriting = 1U << 5;
    static constexpr std::uint64_t kWaiters = 1U << 6;
    static constexpr std::uint64_t kFromStaging = 1U << 7;
    static constexpr unsigned kProtectionShift = 8;
    static constexpr unsigned kPinShift = 10;
    static constexpr std::uint64_t kGuard = std::uint64_t{1} << 22;
    static constexpr std::uint64_t kWrittenBefore = std::uint64_t{1} << 23;
    static constexpr std::uint64_t kChecksummed = std::uint64_t{1} << 24;
    static constexpr std::uint64_t kAccess = kGuard | std::uint64_t{3} << kProtectionShift;  // protection and guard

    [[nodiscard]] constexpr PageWord with_state(PageState state) const noexcept {
        return PageWord{(bits_ & ~kStateMask) | static_cast<std::uint64_t>(state)};
    }
    [[nodiscard]] constexpr PageWord with_payload(std::uint32_t payload) const noexcept {
        return PageWord{(bits_ & 0xffff'ffffU) | (std::uint64_t{payload} << 32)};
    }
    [[nodiscard]] constexpr PageWord with_flag(std::uint64_t flag, bool on) const noexcept {
        return PageWord{on ? bits_ | flag : bits_ & ~flag};
    }

    std::uint64_t bits_ = 0;
};

/// Returns the state of the page once it is evicted clean: stored if it has a slot, else empty.
constexpr PageState home_of(PageWord word) noexcept { return word.has_slot() ? PageState::stored : PageState::empty; }

constexpr bool is_evictable(PageWord word) noexcept { return word.is(PageState::resident) && word.pins() == 0; }

/// Returns true if the page is staged in slot `unit`.
[[nodiscard]] constexpr bool is_staged_at(PageWord word, std::uint32_t unit) noexcept {
    return word.is(PageState::staged) && word.payload() == unit;
}

/// Identifies one page of one region of a pager, in 64 bits.
struct PageRef {
    std::uint32_t region = 0;  ///< Id of the region in its pager; never 0 for a living region.
    std::uint32_t page = 0;    ///< Index in the region.

    [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return std::uint64_t{region} << 32 | page; }
    [[nodiscard]] static constexpr PageRef from(std::uint64_t bits) noexcept {
        return {static_cast<std::uint32_t>(bits >> 32), static_cast<std::uint32_t>(bits)};
    }
    friend constexpr auto operator<=>(PageRef, PageRef) noexcept = default;
};

}  // namespace faultline::core
