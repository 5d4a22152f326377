// RangeControl: the calls on ranges of a space that are mapped already: mprotect(2), madvise(2), msync(2), and pins.
#pragma once

#include "space/mapped_segments.hpp"

#include <faultline/types.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace faultline::space {

/// Not thread-safe: Space serialises the calls. The functions do, and throw, what AddressSpace's functions of the same
/// names do.
class RangeControl {
public:
    RangeControl(pager::Pager& pager, MappedSegments& segments) noexcept : pager_{pager}, segments_{segments} {}

    void protect(std::uintptr_t address, std::size_t bytes, Access access);
    void advise(std::uintptr_t address, std::size_t bytes, Advice advice);
    void discard(std::uintptr_t address, std::size_t bytes);
    void sync(std::uintptr_t address, std::size_t bytes);
    void retry(std::uintptr_t address, std::size_t bytes);
    /// Returns the region and its pages that are now pinned; a null region if `bytes` is 0.
    [[nodiscard]] std::pair<pager::Region*, core::PageRange> pin(std::uintptr_t address, std::size_t bytes,
                                                                 PinFor purpose);

private:
    Arena& require_mapped(AddressRange range, const char* purpose) const;
    void write_out(const Segment& segment, AddressRange range);

    pager::Pager& pager_;
    MappedSegments& segments_;
};

}  // namespace faultline::space
