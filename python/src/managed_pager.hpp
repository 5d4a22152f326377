// ManagedRegion, ManagedPager: what the Python classes _native.Region and _native.Pager are. They take addresses and
// sizes; arrays are the business of the Python part of the package. Every function is called with the interpreter's
// lock (the GIL) held. Calls that may block release it.
#pragma once

#include <faultline/pager.hpp>
#include <faultline/pin.hpp>
#include <faultline/region.hpp>

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace faultline::python {

class ManagedRegion;

/// The living regions of one pager, by their last byte. The GIL guards it.
using RegionsByEnd = std::map<std::uintptr_t, std::weak_ptr<ManagedRegion>>;

/// A region that Python objects own together. NumPy reaches its bytes through the buffer protocol.
class ManagedRegion {
public:
    /// `bytes`: the size that the program asked for; the region's own is rounded up to whole pages.
    ManagedRegion(Region region, std::size_t bytes, std::shared_ptr<RegionsByEnd> regions);
    /// Frees the region without the GIL.
    ~ManagedRegion();
    ManagedRegion(const ManagedRegion&) = delete;
    ManagedRegion& operator=(const ManagedRegion&) = delete;

    [[nodiscard]] Region& region() noexcept { return region_; }
    [[nodiscard]] std::uintptr_t begin() const noexcept { return reinterpret_cast<std::uintptr_t>(region_.data()); }
    [[nodiscard]] std::uintptr_t last() const noexcept { return begin() + region_.size() - 1; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
    Region region_;
    std::size_t bytes_;
    std::shared_ptr<RegionsByEnd> regions_;
};

/// Part of a region, as Python functions name it.
struct Range {
    std::uintptr_t address = 0;
    std::size_t bytes = 0;
};

/// A pager. Functions that take a range do nothing if it is empty, and throw ValueError if it is not in one region of
/// this pager. After `close` all functions but `close` throw ValueError.
class ManagedPager {
public:
    explicit ManagedPager(const Config& config);

    /// Gives up the pager, which lives on while regions and pins use it. Does nothing the second time.
    void close();

    [[nodiscard]] std::shared_ptr<ManagedRegion> reserve(std::size_t bytes, std::size_t page_size);
    void advise(Range range, const std::string& advice) const;
    void wait_for_advised(Range range) const;
    /// Makes the range read as zeros. Pages that lie only partly in the range are cleared and not freed.
    void discard(Range range) const;
    /// Lets the pages that the range touches be read again.
    void retry(Range range) const;
    [[nodiscard]] Pin pin(Range range, const std::string& purpose) const;
    /// Writes one byte for each page that the range touches: 1 if it is resident, else 0. `resident` must have a byte
    /// for each page.
    void residency(Range range, const pybind11::buffer& resident) const;
    /// Returns the page size in bytes of the region that has the range.
    [[nodiscard]] std::size_t page_size(Range range) const;

    void set_resident_limit(std::size_t bytes) const;
    [[nodiscard]] std::size_t resident_limit() const { return pager()->resident_limit(); }
    void set_memory_limit(std::size_t bytes) const;
    [[nodiscard]] std::size_t memory_limit() const { return pager()->memory_limit(); }
    [[nodiscard]] std::string delivery() const { return to_string(pager()->delivery()); }
    [[nodiscard]] PagerStats stats() const;

private:
    /// Returns a share of the pager, so that no other thread closes it during a call.
    [[nodiscard]] std::shared_ptr<Pager> pager() const;
    /// Returns the region that has the range; null if the range is empty.
    [[nodiscard]] std::shared_ptr<ManagedRegion> region_of(Range range) const;

    std::shared_ptr<Pager> pager_;
    std::shared_ptr<RegionsByEnd> regions_ = std::make_shared<RegionsByEnd>();
};

}  // namespace faultline::python
