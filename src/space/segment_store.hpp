// SegmentStore: the backing store of a space's arena. A page that was never written out comes from its segment's file,
// or is zeros. A page that was written out is in a SwapStore; a page of a shared segment goes to its file. Discarding a
// page forgets both: a page of a file becomes zeros and does not return to the file's bytes. A page of a shared segment
// becomes zeros in the file.
//
// A clone of the space shares the slots of the pages that were written out, and the files.
#pragma once

#include "space/segment_index.hpp"
#include "store/backing_store.hpp"
#include "store/swap_store.hpp"
#include "sys/lazy_array.hpp"
#include "sys/published.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace faultline::space {

/// A BackingStore. Calls come from inside reader sections of RegionMap::readers(), except those of the control path.
class SegmentStore final : public store::BackingStore {
public:
    /// Constructs the store of an arena with pages of 4 KiB. `behind`: a store of swap slots. `index` must outlive the
    /// store. Throws std::system_error (EOPNOTSUPP: `behind` is of another kind).
    SegmentStore(std::unique_ptr<store::BackingStore> behind, const sys::Published<SegmentIndex>& index);

    /// Sets the address of the store's first byte. Call it once, before the first read.
    void set_begin(std::uintptr_t address) noexcept { begin_ = address; }

    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int read_pages(std::span<const store::StoreRead> reads,
                                 store::DuringRead* meanwhile) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int plan_read(std::span<const store::StoreRead> reads,
                                store::ReadPlan& plan) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int check_read(std::span<const store::StoreRead> reads) FAULTLINE_SIGNAL_SAFE override {
        return swap_.check_read(reads);
    }
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] store::SwapStore* swap_store(std::uint64_t offset) FAULTLINE_SIGNAL_SAFE override {
        return shared_at(offset) == nullptr ? &swap_ : nullptr;
    }
    void discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] store::Whereabouts whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE override;
    /// Only pages in swap slots: the kernel caches those of files.
    [[nodiscard]] bool wants_copy(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE override {
        return swap_.wants_copy(offset);
    }
    void keep_copy(std::uint64_t offset, std::span<const std::byte> page) FAULTLINE_SIGNAL_SAFE override {
        swap_.keep_copy(offset, page);
    }
    [[nodiscard]] store::SharedBytes shared_bytes(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE override;

    // ---- cloning

    /// Allocates what share_pages_of needs of the original, which has `pages` pages. Throws std::system_error (ENOMEM).
    void prepare_to_share(std::uint64_t pages);
    /// Gives this store, which is empty, the pages of `other`. Nothing else uses either store meanwhile.
    void share_pages_of(const SegmentStore& other);

private:
    /// A note for each page of a file that neither the space nor a clone has written; see store::SharedBytes.
    using FileNotes = sys::LazyArray<std::atomic<std::uint64_t>>;

    /// Where a page's bytes are: in swap slots; else in the file of `segment`; else nowhere (zeros).
    struct Source {
        bool swap = false;
        const SegmentIndex::Entry* segment = nullptr;

        [[nodiscard]] bool is_zeros() const noexcept { return !swap && segment == nullptr; }
        friend bool operator==(const Source&, const Source&) = default;
    };
    struct Run {
        Source source;
        std::uint64_t bytes = 0;
    };
    [[nodiscard]] Source source_of(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Run run_at(std::uint64_t offset, std::uint64_t most) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int plan_from_file(const SegmentIndex::Entry& from, std::uint64_t offset, std::span<std::byte> into,
                                     store::ReadPlan& plan) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] const SegmentIndex::Entry* shared_at(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE;

    std::unique_ptr<store::BackingStore> behind_;
    store::SwapStore& swap_;  // of behind_
    const sys::Published<SegmentIndex>& index_;
    std::uintptr_t begin_ = 0;
    std::shared_ptr<const FileNotes> file_notes_;  // null until the first clone; clones share it
};

}  // namespace faultline::space
