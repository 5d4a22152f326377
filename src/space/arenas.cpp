#include "space/arenas.hpp"

#include "space/placement.hpp"
#include "sys/error.hpp"

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace faultline::space {

namespace {

constexpr std::uintptr_t kLowestImage = std::uintptr_t{32} << 40;
constexpr std::uintptr_t kLowestStackEnd = std::uintptr_t{64} << 40;
constexpr int kAddressesTried = 16;

}  // namespace

Arenas::Arenas(pager::Pager& pager, const pager::RegionOwner& owner, const sys::Published<SegmentIndex>& index,
               const ArenaPlan& plan)
    : pager_{pager} {
    const auto reserve = [&](std::uintptr_t address, std::size_t bytes) {
        return std::make_unique<Arena>(pager, owner, index, address, bytes);
    };
    const auto reserve_somewhere = [&](std::uintptr_t lowest, unsigned bits, std::size_t bytes) {
        for (int i = 0; i < kAddressesTried; ++i) {
            try {
                return reserve(random_address(lowest, bits), bytes);
            } catch (const std::system_error& error) {
                if (error.code().value() != EEXIST) throw;
            }
        }
        return reserve(0, bytes);  // the process may not have such addresses: let the kernel choose
    };
    const auto [image, mappings] = plan.place;
    for (const auto& [address, bytes] : {std::pair{image, plan.low_bytes}, {mappings, plan.high_bytes}}) {
        if (address != 0) require_user_range(address, bytes);
    }
    // The high arena first: the kernel hands out addresses from the top down.
    high_ = mappings != 0
                ? reserve(mappings, plan.high_bytes)
                : reserve_somewhere(kLowestStackEnd - plan.high_bytes, Layout::kStackEntropyBits, plan.high_bytes);
    low_ = image != 0 ? reserve(image, plan.low_bytes)
                      : reserve_somewhere(kLowestImage, Layout::kImageEntropyBits, plan.low_bytes);
}

ArenaPlan Arenas::plan_at(const ClonePlace& place) const noexcept {
    return {.low_bytes = low_->range().bytes(), .high_bytes = high_->range().bytes(), .place = place};
}

Arena* Arenas::find(AddressRange range) const noexcept {
    for (Arena* const arena : both()) {
        if (arena->range().contains(range)) return arena;
    }
    return nullptr;
}

Arena& Arenas::require(AddressRange range, const char* purpose) const {
    if (Arena* const arena = find(range)) return *arena;
    sys::throw_error(EINVAL, std::string("cannot ") + purpose + ": the range is not in the address space");
}

std::vector<pager::PageRun> Arenas::runs_of(AddressRange range) const {
    const Arena& arena = *find(range);
    return pager_.views().runs_of(arena.region(), arena.pages_of(range));
}

std::optional<std::uintptr_t> Arenas::counterpart(const Arenas& other, std::uintptr_t address) const noexcept {
    for (std::size_t i = 0; i < both().size(); ++i) {
        const Arena& theirs = *other.both()[i];
        if (theirs.range().contains(address)) return both()[i]->counterpart(theirs, address);
    }
    // No arena contains the address: take the one that ends there. An arena that begins there comes first (above).
    for (std::size_t i = 0; i < both().size(); ++i) {
        const Arena& theirs = *other.both()[i];
        if (theirs.range().end == address) return both()[i]->counterpart(theirs, address);
    }
    return std::nullopt;
}

AddressRange Arenas::counterpart(const Arenas& other, AddressRange range) const noexcept {
    const std::uintptr_t begin = *counterpart(other, range.begin);
    return {begin, begin + range.bytes()};
}

}  // namespace faultline::space
