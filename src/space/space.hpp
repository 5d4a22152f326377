// Space: the implementation behind AddressSpace. It composes the parts, lays them out, serialises the control calls,
// and refuses them in a child of fork. It moves no bytes itself: that is the pager's work.
//
//   MappedSegments    segments, their published index, the pages in the two arenas
//   ProgramBreak      brk and sbrk         RangeControl      protect, advise, discard, sync, pin
//   MappingArea       map and unmap        ViolationReports  what the fault path tells of a forbidden access
//
// Lock order: mutex_, then the pager's locks.
#pragma once

#include "pager/pager.hpp"
#include "space/mapped_segments.hpp"
#include "space/mapping_area.hpp"
#include "space/program_break.hpp"
#include "space/range_control.hpp"
#include "space/violation_reports.hpp"

#include <faultline/address_space.hpp>
#include <faultline/layout.hpp>
#include <faultline/segment_info.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace faultline::space {

class Space {
public:
    Space(std::shared_ptr<pager::Pager> pager, std::span<const ImageSegment> image, const Layout& layout);
    /// Writes shared segments to their files as far as possible.
    ~Space();
    Space(const Space&) = delete;
    Space& operator=(const Space&) = delete;
    [[nodiscard]] std::unique_ptr<Space> clone(const ClonePlace& place);

    // Like the functions of AddressSpace with the same names. Any thread; not from a signal handler.

    [[nodiscard]] std::uintptr_t brk(std::uintptr_t address);
    [[nodiscard]] std::optional<std::uintptr_t> sbrk(std::ptrdiff_t delta);
    [[nodiscard]] std::uintptr_t map(std::size_t bytes, Origin origin, const MapOptions& options);
    void unmap(std::uintptr_t address, std::size_t bytes);
    void protect(std::uintptr_t address, std::size_t bytes, Access access);
    void advise(std::uintptr_t address, std::size_t bytes, Advice advice);
    void discard(std::uintptr_t address, std::size_t bytes);
    void sync(std::uintptr_t address, std::size_t bytes);
    void retry(std::uintptr_t address, std::size_t bytes);
    /// Pins a range. Returns the region and its pages that are now pinned.
    [[nodiscard]] std::pair<pager::Region*, core::PageRange> pin(std::uintptr_t address, std::size_t bytes,
                                                                 PinFor purpose);
    void on_violation(ViolationHandler handler, void* context);
    [[nodiscard]] std::uintptr_t counterpart(const Space& other, std::uintptr_t address) const;

    [[nodiscard]] bool in_owner_process() const noexcept { return pager_->in_owner_process(); }
    [[nodiscard]] std::uintptr_t image_begin() const noexcept { return segments_.arenas().low().range().begin; }
    [[nodiscard]] std::uintptr_t heap_begin() const noexcept { return break_.begin(); }
    [[nodiscard]] AddressRange stack() const noexcept { return stack_; }

    [[nodiscard]] std::vector<SegmentInfo> segments() const;
    [[nodiscard]] SegmentUsage usage(AddressRange range) const;
    [[nodiscard]] Explanation explain(std::uintptr_t address) const;
    [[nodiscard]] TableCost table_cost() const;

private:
    Space(const Space& source, const ClonePlace& place);

    void load(const ImageSegment& part);
    void add_stack(const Layout& layout);
    [[nodiscard]] std::unique_lock<std::mutex> lock_for_change() const;

    std::shared_ptr<pager::Pager> pager_;
    std::uint64_t lineage_;     // equal in a space and all its clones
    mutable std::mutex mutex_;  // guards all mutable members below; the fault path never takes it
    sys::Published<SegmentIndex> index_;
    ViolationReports violations_;
    MappedSegments segments_;
    ProgramBreak break_;
    MappingArea mappings_;
    RangeControl ranges_;
    AddressRange stack_{};  // all of it, down to its limit
};

}  // namespace faultline::space
