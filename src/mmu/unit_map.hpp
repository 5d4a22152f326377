// UnitMap: what the program may do with each 4 KiB unit of one region, by the mappings in its page tables, and the
// number of mappings that takes. It is a record only and makes no system call. FileMappings changes the mappings,
// records that here, and asks the map what to change.
#pragma once

#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "sys/tracked_array.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::mmu {

/// What the mapping of a unit allows. Neighbours that differ need two mappings in the kernel.
enum class UnitAccess : std::uint8_t { closed, read, write, poisoned, execute };

/// Not thread-safe. Uses no memory for parts of the region that were never mapped.
class UnitMap {
public:
    /// Of a window (RegionPlan::window) the units are mapped one by one.
    enum class Units : std::uint8_t { mapped, mapped_later };

    UnitMap(std::byte* address, std::size_t bytes, Units units = Units::mapped)
        : address_{address},
          units_{bytes / core::kUnitBytes, "the unit map of a region"},
          mapped_later_{units == Units::mapped_later} {}

    [[nodiscard]] std::size_t units() const noexcept { return units_.size(); }
    [[nodiscard]] std::byte* address_of(std::size_t unit) const noexcept { return address_ + unit * core::kUnitBytes; }
    [[nodiscard]] core::UnitRange run_of(const void* address, std::size_t bytes) const noexcept {
        return {static_cast<std::size_t>(static_cast<const std::byte*>(address) - address_) / core::kUnitBytes,
                bytes / core::kUnitBytes};
    }

    [[nodiscard]] UnitAccess access(std::size_t unit) const noexcept {
        return static_cast<UnitAccess>(units_[unit] & kAccessMask);
    }
    /// Returns true if a guard marker closes the unit, whatever the unit's protection.
    [[nodiscard]] bool guarded(std::size_t unit) const noexcept { return (units_[unit] & kGuarded) != 0; }
    /// Returns true if the program can at least read the unit without a fault.
    [[nodiscard]] bool open(std::size_t unit) const noexcept {
        return !guarded(unit) && access(unit) != UnitAccess::closed && access(unit) != UnitAccess::poisoned;
    }
    [[nodiscard]] bool all(core::UnitRange run, UnitAccess wanted) const noexcept;
    [[nodiscard]] bool all_guarded(core::UnitRange run) const noexcept;
    [[nodiscard]] bool any(core::UnitRange run, UnitAccess wanted) const noexcept;

    /// Records a change. Returns by how much the number of mappings grows (negative: shrinks).
    std::int64_t set_access(core::UnitRange run, UnitAccess access) FAULTLINE_SIGNAL_SAFE;
    void set_guarded(core::UnitRange run, bool on) FAULTLINE_SIGNAL_SAFE;
    /// Records that units of a window belong to the region from now on, or no longer do.
    void set_mapped(core::UnitRange run, bool on) FAULTLINE_SIGNAL_SAFE;

    /// Returns the first run of mapped, closed units in `within`; an empty run if there is none.
    [[nodiscard]] core::UnitRange next_closed(core::UnitRange within) const FAULTLINE_SIGNAL_SAFE;

    /// Widens a run of closed units up to the nearest units that are not closed.
    [[nodiscard]] core::UnitRange widened_to_neighbour(core::UnitRange run) const FAULTLINE_SIGNAL_SAFE;

    /// Returns how many mappings the region takes beyond the first.
    [[nodiscard]] std::int64_t extra_mappings() const noexcept { return boundaries_; }

    /// Marks all units closed. Returns the change in the number of mappings.
    std::int64_t forget() FAULTLINE_SIGNAL_SAFE;

    /// Fills `runs` with runs of at most `longest` open units that differ from both neighbours and would not if closed
    /// as `closed_as`. Continues where the last search ended, and searches the region at most once. Returns the number
    /// of runs.
    [[nodiscard]] std::size_t find_islands(std::span<iovec> runs, std::size_t longest,
                                           UnitAccess closed_as) FAULTLINE_SIGNAL_SAFE;

private:
    static constexpr std::uint8_t kAccessMask = 7;
    static constexpr std::uint8_t kGuarded = 8;
    static constexpr std::uint8_t kMapped = 16;

    void set_bit(core::UnitRange run, std::uint8_t bit, bool on) noexcept;
    [[nodiscard]] bool mapped(std::size_t unit) const noexcept {
        return !mapped_later_ || (units_[unit] & kMapped) != 0;
    }
    [[nodiscard]] bool closed(std::size_t unit) const noexcept {
        return mapped(unit) && access(unit) == UnitAccess::closed;
    }
    [[nodiscard]] std::int64_t boundaries_around(core::UnitRange run) const noexcept;
    void touched(core::UnitRange run) noexcept;

    std::byte* address_;
    sys::TrackedArray<std::uint8_t> units_;
    bool mapped_later_;
    std::int64_t boundaries_ = 0;
    core::UnitRange touched_{};  // all units outside are closed
    std::size_t cursor_ = 0;     // position of find_islands
};

}  // namespace faultline::mmu
