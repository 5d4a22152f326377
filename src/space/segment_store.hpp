// SegmentStore: what is behind the pages of an address space. A page that has never been written out has its bytes
// where its segment has them, in a file or nowhere; one that has, in the swap store behind, or if its segment is shared
// in the file again. Discarding forgets both: what was of a file before does not come back by itself, and what is of a
// shared one becomes zeros there.
//
// When the space is cloned, the swap store behind becomes a layer that both read and nobody writes to, and each has a
// new one in front of it, the top. A space that is cloned often has several; each page is in one of them.
#pragma once

#include "space/layer_map.hpp"
#include "sys/published.hpp"
#include "space/segment_index.hpp"
#include "space/shared_layer.hpp"
#include "store/backing_store.hpp"
#include "sys/lazy_array.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace faultline::space {

/// As BackingStore says. Calls come from readers of RegionMap::readers(), except those of the control path.
class SegmentStore final : public store::BackingStore {
public:
    /// For `bytes` of pages of 4 KiB. `index` must outlive the store.
    SegmentStore(std::unique_ptr<store::BackingStore> behind, const sys::Published<SegmentIndex>& index, std::uint64_t bytes)
        : bytes_{bytes}, top_{std::move(behind)}, index_{index}, layer_of_{bytes >> core::kUnitShift} {}
    ~SegmentStore() override;

    /// Where the store's first byte is in the space. Said once, before anything is read.
    void begins_at(std::uintptr_t address) noexcept { begin_ = address; }

    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE override;
    void discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    /// Where pages of some segment go to a file of its own, each write comes to us.
    [[nodiscard]] store::FileExtent extent() const FAULTLINE_SIGNAL_SAFE override {
        return index_.read().any_shared() ? store::FileExtent{} : top_->extent();
    }
    [[nodiscard]] store::FileExtent location(std::uint64_t offset,
                                             std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE override;
    void about_to_land(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override {
        top_->about_to_land(offset, bytes);
    }
    void landed(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] store::Whereabouts whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] store::SharedBytes shared_bytes(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE override;

    // ---- cloning

    /// On each page of a file that a space and its clones have not written to: see store::SharedBytes.
    using FileNotes = sys::LazyArray<std::atomic<std::uint64_t>>;

    /// What freezing needs, since it must not fail, and what it leaves.
    struct Freezing {
        std::unique_ptr<store::BackingStore> top;
        std::shared_ptr<SharedLayer> layer;
        std::vector<std::shared_ptr<SharedLayer>> layers;
        std::vector<std::uint64_t> pages_in;
        std::shared_ptr<const FileNotes> file_notes;
        std::vector<std::shared_ptr<SharedLayer>> unused;  ///< Goes with this, where stores may be closed.
    };
    /// `top` is empty, and for as many bytes. Throws std::system_error (ENOMEM), std::bad_alloc.
    [[nodiscard]] Freezing prepare_freeze(std::unique_ptr<store::BackingStore> top) const;

    // Both while no other call is in progress on either store.

    /// What is in the top is not written to any more. Layers without a page of ours are let go of.
    void freeze(Freezing& freezing) noexcept;
    /// This store, a new one, shares the layers of `other`, which was just frozen. Throws std::bad_alloc.
    void share_layers_of(const SegmentStore& other);

private:
    using Number = LayerMap::Number;
    static constexpr Number kOrigin = 0;  // where the segment says

    /// Where the bytes of a run of pages are.
    struct Source {
        store::BackingStore* swap = nullptr;           ///< The top, or a layer.
        const SegmentIndex::Entry* segment = nullptr;  ///< With a file.
        [[nodiscard]] bool nowhere() const noexcept { return swap == nullptr && segment == nullptr; }
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
    void put(std::uint64_t offset, std::uint64_t bytes, Number number) FAULTLINE_SIGNAL_SAFE;
    /// The layer of that number, or null for the top and for what is none.
    [[nodiscard]] const SharedLayer* layer(Number number) const FAULTLINE_SIGNAL_SAFE { return layers_[number].get(); }

    std::uint64_t bytes_;
    std::unique_ptr<store::BackingStore> top_;
    const sys::Published<SegmentIndex>& index_;
    std::uintptr_t begin_ = 0;
    LayerMap layer_of_;
    // Changed by the two above only.
    Number top_number_ = 1;
    std::vector<std::shared_ptr<SharedLayer>> layers_{2};  // by number; null: the top's, or none
    std::shared_ptr<const FileNotes> file_notes_;          // null: never cloned
};

}  // namespace faultline::space
