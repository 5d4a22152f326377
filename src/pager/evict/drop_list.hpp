// DropList: gathers frames to free, so that few system calls free them. Neighbours become one range, and one call frees
// successive ranges of the same mapper, or successive slots.
#pragma once

#include "core/signal_safe.hpp"
#include "mmu/mappers.hpp"
#include "pager/region/region.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::pager {

/// Signal-safe. The caller owns the pages from `add_page` until after `flush`.
class DropList {
public:
    /// `room` holds the ranges of one call.
    DropList(mmu::Mappers& mappers, std::span<iovec> room) noexcept : mappers_{mappers}, room_{room} {}

    void add_page(const Region& region, std::uint64_t page) FAULTLINE_SIGNAL_SAFE;
    void add_slot(std::byte* slot, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

    /// Frees all frames that were added since the last call.
    void flush() FAULTLINE_SIGNAL_SAFE;

private:
    void add(const Region* region, std::byte* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

    mmu::Mappers& mappers_;
    std::span<iovec> room_;
    std::size_t count_ = 0;
    const Region* last_ = nullptr;  // of the last range; null: slots
};

}  // namespace faultline::pager
