// GapIndex: the free ranges of a MappingWindow, found by size. It knows addresses only, not what is mapped.
// A search through the segments would take a time proportional to their number, and programs have up to 65,000.
#pragma once

#include "core/address_range.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace faultline::space {

/// Not thread-safe. All calls take a time proportional to the logarithm of the number of gaps.
class GapIndex {
public:
    /// All of `whole` is free.
    explicit GapIndex(core::AddressRange whole) { give(whole); }

    /// Returns the smallest gap of at least `bytes`, and of equal ones the highest. Returns nothing if no gap is so
    /// large.
    [[nodiscard]] std::optional<core::AddressRange> smallest(std::size_t bytes) const noexcept;

    /// Makes a range used. Parts of it may be used already.
    void take(core::AddressRange range);

    /// Makes a range free. Parts of it may be free already.
    void give(core::AddressRange range);

    [[nodiscard]] std::size_t size() const noexcept { return by_begin_.size(); }

private:
    using ByBegin = std::map<std::uintptr_t, std::uintptr_t>;  // begin -> end; gaps neither overlap nor touch

    [[nodiscard]] ByBegin::iterator first_reaching(std::uintptr_t address);
    void add(core::AddressRange gap);
    ByBegin::iterator remove(ByBegin::iterator gap);

    ByBegin by_begin_;
    std::set<std::pair<std::size_t, std::uintptr_t>> by_size_;  // size and begin of the same gaps
};

}  // namespace faultline::space
