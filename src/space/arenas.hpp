// Arenas: the two arenas of a space: image and heap in the low one, mappings and stack in the high one. It reserves
// them at the planned or at random addresses, finds the arena of a range, and translates addresses between clones.
#pragma once

#include "pager/pager.hpp"
#include "space/arena.hpp"
#include "space/arena_plan.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace faultline::space {

class Arenas {
public:
    /// See Arena's constructor. Throws std::system_error.
    Arenas(pager::Pager& pager, const pager::RegionOwner& owner, const sys::Published<SegmentIndex>& index,
           const ArenaPlan& plan);

    [[nodiscard]] const Arena& low() const noexcept { return *low_; }
    [[nodiscard]] const Arena& high() const noexcept { return *high_; }
    [[nodiscard]] std::array<Arena*, 2> both() const noexcept { return {low_.get(), high_.get()}; }
    /// Returns the plan for arenas of the same sizes at `place`.
    [[nodiscard]] ArenaPlan plan_at(const ClonePlace& place) const noexcept;

    /// Returns the arena that contains the range, or null.
    [[nodiscard]] Arena* find(AddressRange range) const noexcept;
    /// Returns the arena that contains the range. Throws EINVAL if none does. `purpose`: a verb, for the message.
    Arena& require(AddressRange range, const char* purpose) const;

    /// Returns the regions and pages that a range maps. The range is inside one arena.
    [[nodiscard]] std::vector<pager::PageRun> runs_of(AddressRange range) const;

    /// Returns the address that corresponds to `address` in `other`, arenas of the same sizes. Returns nothing if the
    /// address is in neither of them, nor the end of one.
    [[nodiscard]] std::optional<std::uintptr_t> counterpart(const Arenas& other, std::uintptr_t address) const noexcept;
    /// The same for a range, which is in one of them.
    [[nodiscard]] AddressRange counterpart(const Arenas& other, AddressRange range) const noexcept;

private:
    pager::Pager& pager_;
    std::unique_ptr<Arena> low_;
    std::unique_ptr<Arena> high_;
};

}  // namespace faultline::space
