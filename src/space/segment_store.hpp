// SegmentStore: the backing store of a space's arena. A page that was never written out comes from its segment's file,
// or is zeros. A page that was written out is in the swap store (the top); a page of a shared segment goes to its file.
// Discarding a page forgets both: a page of a file becomes zeros and does not return to the file's bytes. A page of a
// shared segment becomes zeros in the file.
//
// Cloning turns the top into a layer, which both spaces read and neither writes. Each gets a new, empty top. A space
// that was cloned several times has several layers; each page's bytes are in exactly one of them, in the top, or in its
// file.
#pragma once

#include "space/layer_map.hpp"
#include "space/segment_index.hpp"
#include "space/shared_layer.hpp"
#include "store/backing_store.hpp"
#include "sys/lazy_array.hpp"
#include "sys/published.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace faultline::space {

/// A BackingStore. Calls come from inside reader sections of RegionMap::readers(), except those of the control path.
class SegmentStore final : public store::BackingStore {
public:
    /// Constructs the store of an arena of `bytes`, with pages of 4 KiB. `index` must outlive the store.
    SegmentStore(std::unique_ptr<store::BackingStore> behind, const sys::Published<SegmentIndex>& index,
                 std::uint64_t bytes)
        : bytes_{bytes}, top_{std::move(behind)}, index_{index}, layer_of_{bytes >> core::kUnitShift} {}
    ~SegmentStore() override;

    /// Sets the address of the store's first byte. Call it once, before the first read.
    void set_begin(std::uintptr_t address) noexcept { begin_ = address; }

    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE override;
    void discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    /// Returns no extent while a segment is written to a file of its own: then every write must come to this store.
    [[nodiscard]] store::FileExtent extent() const FAULTLINE_SIGNAL_SAFE override {
        return index_.read().any_shared() ? store::FileExtent{} : top_->extent();
    }
    [[nodiscard]] store::FileExtent location(std::uint64_t offset,
                                             std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE override;
    void begin_extent_write(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override {
        top_->begin_extent_write(offset, bytes);
    }
    void finish_extent_write(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] store::Whereabouts whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] store::SharedBytes shared_bytes(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE override;

    // ---- cloning

    /// A note for each page of a file that neither the space nor a clone has written; see store::SharedBytes.
    using FileNotes = sys::LazyArray<std::atomic<std::uint64_t>>;

    /// The memory that freezing needs, allocated before because freezing must not fail, and what it leaves over.
    struct Freezing {
        std::unique_ptr<store::BackingStore> top;
        std::shared_ptr<SharedLayer> layer;
        std::vector<std::shared_ptr<SharedLayer>> layers;
        std::vector<std::uint64_t> pages_in;
        std::shared_ptr<const FileNotes> file_notes;
        /// Layers without users; they are destroyed with this object, where stores may be closed.
        std::vector<std::shared_ptr<SharedLayer>> unused;
    };
    /// Allocates what freezing needs. `top`: an empty store of the same size. Throws std::system_error (ENOMEM),
    /// std::bad_alloc.
    [[nodiscard]] Freezing prepare_freeze(std::unique_ptr<store::BackingStore> top) const;

    // Call both while no other call is in progress on either store.

    /// Turns the top into a layer, which is not written any more. Drops layers that hold no page of this store.
    void freeze(Freezing& freezing) noexcept;
    /// Shares the layers of `other`, which was just frozen. This store is new. Throws std::bad_alloc.
    void share_layers_of(const SegmentStore& other);

private:
    using Number = LayerMap::Number;
    static constexpr Number kOrigin = 0;  // in the segment's file, or zeros

    /// Where the bytes of a run of pages are. Both null: the pages are zeros.
    struct Source {
        store::BackingStore* swap = nullptr;           ///< The top or a layer.
        const SegmentIndex::Entry* segment = nullptr;  ///< A segment with a file.
        [[nodiscard]] bool is_zeros() const noexcept { return swap == nullptr && segment == nullptr; }
        friend bool operator==(const Source&, const Source&) = default;
    };
    struct Run {
        Source source;
        std::uint64_t bytes;
    };

    [[nodiscard]] const SegmentIndex::Entry* shared_at(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int write_to_top(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Source source_of(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Run run_at(std::uint64_t offset, std::uint64_t most) const FAULTLINE_SIGNAL_SAFE;
    void set_layer(std::uint64_t offset, std::uint64_t bytes, Number number) FAULTLINE_SIGNAL_SAFE;
    /// Returns the layer of that number; null for the top and for an unused number.
    [[nodiscard]] const SharedLayer* layer(Number number) const FAULTLINE_SIGNAL_SAFE { return layers_[number].get(); }

    std::uint64_t bytes_;
    std::unique_ptr<store::BackingStore> top_;
    const sys::Published<SegmentIndex>& index_;
    std::uintptr_t begin_ = 0;
    LayerMap layer_of_;
    // Changed by freeze and share_layers_of only.
    Number top_number_ = 1;
    std::vector<std::shared_ptr<SharedLayer>> layers_{2};  // by number; null: the top, or unused
    std::shared_ptr<const FileNotes> file_notes_;          // null: never cloned
};

}  // namespace faultline::space
