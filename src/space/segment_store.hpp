// SegmentStore: what is behind the pages of an address space. A page that has never been written out has its bytes
// where its segment has them, in a file or nowhere; one that has, in the swap store behind, or if its segment is shared
// in the file again. Discarding forgets both: what was of a file before does not come back by itself, and what is of a
// shared one becomes zeros there.
#pragma once

#include "space/published.hpp"
#include "space/segment_index.hpp"
#include "store/backing_store.hpp"
#include "table/page_set.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace faultline::space {

/// As BackingStore says. Calls come from readers of RegionTree::readers(), except those of the control path.
class SegmentStore final : public store::BackingStore {
public:
    /// For `bytes` of pages of 4 KiB. `index` must outlive the store.
    SegmentStore(std::unique_ptr<store::BackingStore> behind, const Published<SegmentIndex>& index, std::uint64_t bytes)
        : behind_{std::move(behind)}, index_{index}, swapped_{bytes >> core::kUnitShift} {}

    /// Where the store's first byte is in the space. Said once, before anything is read.
    void begins_at(std::uintptr_t address) noexcept { begin_ = address; }

    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE override;
    void discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    /// Where pages of some segment go to a file of its own, each write comes to us.
    [[nodiscard]] store::FileExtent extent() const FAULTLINE_SIGNAL_SAFE override {
        return index_.read().any_shared() ? store::FileExtent{} : behind_->extent();
    }
    [[nodiscard]] store::FileExtent location(std::uint64_t offset,
                                             std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE override;
    void about_to_land(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override {
        behind_->about_to_land(offset, bytes);
    }
    void landed(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] store::Whereabouts whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE override;

private:
    /// Where the bytes of a run of pages are.
    struct Source {
        bool swap = false;
        const SegmentIndex::Entry* segment = nullptr;  ///< With a file.
        [[nodiscard]] bool nowhere() const noexcept { return !swap && segment == nullptr; }
        friend bool operator==(const Source&, const Source&) = default;
    };
    struct Run {
        Source source;
        std::uint64_t bytes;
    };

    [[nodiscard]] const SegmentIndex::Entry* shared_at(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int write_behind(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Source source_of(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Run run_at(std::uint64_t offset, std::uint64_t most) const FAULTLINE_SIGNAL_SAFE;

    std::unique_ptr<store::BackingStore> behind_;
    const Published<SegmentIndex>& index_;
    table::PageSet swapped_;  // whose bytes the store behind has
    std::uintptr_t begin_ = 0;
};

}  // namespace faultline::space
