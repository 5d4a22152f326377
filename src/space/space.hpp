// Space: the implementation behind AddressSpace: two arenas, the segments in them, and the break. An addition inserts
// the segment, publishes the index to the fault path, and opens the pages. A removal closes the pages first (but see
// remove_shared). It moves no bytes itself: that is the pager's work.
//
// Lock order: mutex_, then the pager's locks.
#pragma once

#include "core/page_fault.hpp"
#include "mmu/signal_fault_source.hpp"
#include "pager/pager.hpp"
#include "space/arena.hpp"
#include "space/segment.hpp"
#include "space/segment_index.hpp"
#include "sys/published.hpp"

#include <faultline/access_violation.hpp>
#include <faultline/address_space.hpp>
#include <faultline/layout.hpp>
#include <faultline/segment_info.hpp>
#include <faultline/stats.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace faultline::space {

class Space final : public pager::RegionOwner {
public:
    Space(std::shared_ptr<pager::Pager> pager, std::span<const ImageSegment> image, const Layout& layout);
    ~Space() override;
    [[nodiscard]] std::unique_ptr<Space> clone(const ClonePlace& place);
    /// Gives up the handle's ownership of `space`: it is destroyed now, or when the last Pin or system call on its
    /// memory ends. From now on, no handler of violations is called.
    static void leave(std::shared_ptr<Space> space) noexcept;
    Space(const Space&) = delete;
    Space& operator=(const Space&) = delete;

    // Like the functions of AddressSpace with the same names. Any thread; not from a signal handler.

    [[nodiscard]] std::uintptr_t brk(std::uintptr_t address);
    [[nodiscard]] std::optional<std::uintptr_t> sbrk(std::ptrdiff_t delta);
    [[nodiscard]] std::uintptr_t map(std::size_t bytes, space::Origin origin, const MapOptions& options);
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
    [[nodiscard]] std::uintptr_t image_begin() const noexcept { return low_->range().begin; }
    [[nodiscard]] std::uintptr_t heap_begin() const noexcept { return heap_begin_; }
    [[nodiscard]] space::AddressRange stack() const noexcept { return stack_; }

    [[nodiscard]] std::vector<SegmentInfo> segments() const;
    [[nodiscard]] SegmentUsage usage(space::AddressRange range) const;
    void residency(std::uintptr_t address, std::size_t bytes, std::span<ResidencyCell> cells) const;
    [[nodiscard]] Explanation explain(std::uintptr_t address) const;
    [[nodiscard]] TableCost table_cost() const;

    [[nodiscard]] core::ViolationReport report(const core::PageFault& fault) const FAULTLINE_SIGNAL_SAFE override;

private:
    struct Handler {
        ViolationHandler call = nullptr;
        void* context = nullptr;
    };

    // Construction.
    void reserve_for_layout(std::size_t image_bytes, const Layout& layout);
    void reserve_arenas(std::size_t low_bytes, std::size_t high_bytes, const ClonePlace& place);
    void load(const ImageSegment& part);
    void add_stack(const Layout& layout);

    // cloning.cpp
    Space(Space& source, const ClonePlace& place);
    void copy_segments(const Space& source);
    void copy_pages(Space& source);
    [[nodiscard]] std::vector<pager::Region*> shared_regions() const;
    [[nodiscard]] space::AddressRange counterpart(const Space& other, space::AddressRange range) const;
    [[nodiscard]] std::array<space::Arena*, 2> arenas() const noexcept { return {low_.get(), high_.get()}; }

    // Called with mutex_ held.
    void require_owner_process() const;
    [[nodiscard]] space::Arena* arena_of(space::AddressRange range) const noexcept;
    [[nodiscard]] space::Arena& checked_arena(space::AddressRange range, const char* purpose) const;
    [[nodiscard]] space::AddressRange choose_range(std::size_t bytes, const MapOptions& options);
    [[nodiscard]] std::unique_ptr<const space::SegmentIndex> make_index() const;
    void add(space::AddressRange range, const space::Origin& origin);
    void split_and_remove(space::AddressRange range);
    void remove(space::AddressRange range);
    void open(space::AddressRange range, const space::Origin& origin, bool in_file);
    void close(const space::Segment& segment);
    void remove_shared(const space::Segment& segment);
    static void require_writable(const space::SourceFile& file);
    [[nodiscard]] std::vector<pager::PageRun> runs_of(space::AddressRange range) const;
    [[nodiscard]] SegmentUsage usage_locked(space::AddressRange range) const;
    void unmap_locked(space::AddressRange range);
    void require_mapped(space::AddressRange range, const char* purpose) const;
    [[nodiscard]] bool move_break(std::uintptr_t address);
    [[nodiscard]] bool room_for_heap(std::uintptr_t from, std::uintptr_t end) const noexcept;
    [[nodiscard]] SegmentInfo describe(const space::Segment& segment) const;
    [[nodiscard]] std::uintptr_t lowest_touched(space::AddressRange range) const;

    std::shared_ptr<pager::Pager> pager_;
    std::uint64_t lineage_;     // equal in a space and all its clones
    mutable std::mutex mutex_;  // guards all mutable members below; the fault path never takes it
    space::SegmentSet segments_;
    sys::Published<space::SegmentIndex> index_;
    sys::Published<Handler> handler_;
    mmu::SignalFaultSource violations_;  // SIGSEGV comes to this source in every fault delivery
    std::unique_ptr<space::Arena> low_;
    std::unique_ptr<space::Arena> high_;
    std::uintptr_t heap_begin_ = 0;
    std::uintptr_t break_ = 0;
    std::size_t heap_limit_ = 0;
    space::AddressRange stack_{};     // all of it, down to its limit
    space::AddressRange mappings_{};  // where mappings without a given address go
};

}  // namespace faultline::space
