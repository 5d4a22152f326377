// ViewMap: what the program's view of one region allows, 4 KiB unit by unit, and how many mappings that takes. It makes
// no system call: ProtectMapper does, and notes it here.
#pragma once

#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "sys/lazy_array.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::mmu {

/// The protection of a unit's mapping. Neighbours that differ are two mappings of the kernel's.
enum class View : std::uint8_t { closed, read, write, poisoned, execute };

/// A run of units of one region.
struct UnitRun {
    std::size_t first = 0;
    std::size_t count = 0;
    [[nodiscard]] std::size_t end() const noexcept { return first + count; }
};

/// Not thread-safe; costs no memory where nothing was ever mapped.
class ViewMap {
public:
    ViewMap(std::byte* address, std::size_t bytes)
        : address_{address}, units_{bytes / core::kUnitBytes, "the view of a region"} {}

    [[nodiscard]] std::size_t units() const noexcept { return units_.size(); }
    [[nodiscard]] std::byte* address_of(std::size_t unit) const noexcept { return address_ + unit * core::kUnitBytes; }
    [[nodiscard]] UnitRun run_of(const void* address, std::size_t bytes) const noexcept {
        return {static_cast<std::size_t>(static_cast<const std::byte*>(address) - address_) / core::kUnitBytes,
                bytes / core::kUnitBytes};
    }

    [[nodiscard]] View view(std::size_t unit) const noexcept { return static_cast<View>(units_[unit] & kViewMask); }
    /// A guard hides the unit, whatever its mapping allows.
    [[nodiscard]] bool guarded(std::size_t unit) const noexcept { return (units_[unit] & kGuarded) != 0; }
    /// The program can use the unit without a fault, to read at least.
    [[nodiscard]] bool open(std::size_t unit) const noexcept {
        return !guarded(unit) && view(unit) != View::closed && view(unit) != View::poisoned;
    }
    [[nodiscard]] bool all(UnitRun run, View wanted) const noexcept;
    [[nodiscard]] bool all_guarded(UnitRun run) const noexcept;
    [[nodiscard]] bool any(UnitRun run, View wanted) const noexcept;

    /// Notes a change; returns how many mappings more it takes (or less).
    std::int64_t set_view(UnitRun run, View view) FAULTLINE_SIGNAL_SAFE;
    void set_guarded(UnitRun run, bool on) FAULTLINE_SIGNAL_SAFE;

    /// The first run of closed units in `within`; its count is 0 when there is none.
    [[nodiscard]] UnitRun next_closed(UnitRun within) const FAULTLINE_SIGNAL_SAFE;

    /// Widens a run of closed units to where the nearest mapping that allows anything begins or ends.
    [[nodiscard]] UnitRun widened_to_neighbour(UnitRun run) const FAULTLINE_SIGNAL_SAFE;

    /// Mappings beyond the first that the region takes.
    [[nodiscard]] std::int64_t extra_mappings() const noexcept { return boundaries_; }

    /// Everything is closed again. Returns how many mappings more it takes.
    std::int64_t forget() FAULTLINE_SIGNAL_SAFE;

    /// Names runs of at most `longest` open units that differ from their neighbours on both sides, and would no more if
    /// they were `hidden_as`. Goes on from where the last search ended.
    /// Searches the region once at most. Returns how many.
    [[nodiscard]] std::size_t find_islands(std::span<iovec> runs, std::size_t longest,
                                           View hidden_as) FAULTLINE_SIGNAL_SAFE;

private:
    static constexpr std::uint8_t kViewMask = 7;
    static constexpr std::uint8_t kGuarded = 8;

    [[nodiscard]] std::int64_t boundaries_around(UnitRun run) const noexcept;
    void touched(UnitRun run) noexcept;

    std::byte* address_;
    sys::LazyArray<std::uint8_t> units_;
    std::int64_t boundaries_ = 0;
    UnitRun touched_{};       // outside, everything is closed
    std::size_t cursor_ = 0;  // of find_islands
};

}  // namespace faultline::mmu
