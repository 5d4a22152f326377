// MappingArea: mmap(2) and munmap(2) of a space: chooses addresses for mappings, and refuses ranges that a mapping
// cannot have.
#pragma once

#include "space/mapped_segments.hpp"

#include <faultline/address_space.hpp>

#include <cstddef>
#include <cstdint>

namespace faultline::space {

/// Not thread-safe: Space serialises the calls. Throws what AddressSpace's functions of the same names throw.
class MappingArea {
public:
    MappingArea(pager::Pager& pager, MappedSegments& segments) noexcept : pager_{pager}, segments_{segments} {}

    /// Sets the range for mappings without a given address. Call it once, before `map`.
    void start(AddressRange range) noexcept { range_ = range; }
    [[nodiscard]] AddressRange range() const noexcept { return range_; }

    /// Maps `bytes`. Returns the address.
    [[nodiscard]] std::uintptr_t map(std::size_t bytes, Origin origin, const MapOptions& options);
    void unmap(std::uintptr_t address, std::size_t bytes);

private:
    [[nodiscard]] AddressRange choose_range(std::size_t bytes, const MapOptions& options) const;
    void unmap(AddressRange range);

    pager::Pager& pager_;
    MappedSegments& segments_;
    AddressRange range_{};
};

/// Throws EACCES unless the file can be written through a shared mapping.
void require_writable(const SourceFile& file);

}  // namespace faultline::space
