// LayeredStore: one region's bytes in several files, of which only the newest, the top, is written to. The others are
// frozen: a process that was forked reads them, too, so they are never changed, and a page leaves one by being written
// to the top or forgotten. It knows which page is in which file; which files there are, and when one is frozen,
// SwapSpace decides. Before the first freeze it keeps no map and is a FileStore with one more branch.
#pragma once

#include "core/units.hpp"
#include "store/backing_store.hpp"
#include "store/block_file.hpp"
#include "store/file_store.hpp"
#include "sys/lazy_array.hpp"

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <set>

namespace faultline::store {

/// A region's part of a file, from `offset` on. Files of one `layer` were frozen together. No file: nothing.
struct FilePart {
    std::shared_ptr<BlockFile> file;
    std::uint64_t offset = 0;
    std::uint64_t layer = 0;
};

/// The overrides are as BackingStore says. All else is for the control path, while no other call is in progress on the
/// store: a layer's file may be closed by it.
class LayeredStore : public BackingStore {
public:
    /// Frozen layers that one store can have, the first one aside. A store that has them all is not to be frozen again
    /// before move_up.
    static constexpr std::size_t kMostFrozen = 30;

    /// Where each page is. Made ahead, since freezing must not fail.
    class Layers;
    struct DeleteLayers {
        void operator()(Layers* layers) const noexcept;
    };
    using LayersPointer = std::unique_ptr<Layers, DeleteLayers>;
    /// For a region of `bytes`. Throws std::system_error (ENOMEM), std::bad_alloc.
    [[nodiscard]] static LayersPointer make_layers(std::uint64_t bytes);

    /// An empty store, whose part of the file nobody else uses. With `layers` it knows from the start where each page
    /// is. Without, what is in the first file is not known page by page: that file stays open as long as the store.
    LayeredStore(FilePart top, LayersPointer layers) noexcept;
    LayeredStore(const LayeredStore&) = delete;
    LayeredStore& operator=(const LayeredStore&) = delete;

    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE override;
    /// Punches a hole in the top; what is in a frozen layer is only forgotten.
    void discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void forget(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] FileExtent extent() const FAULTLINE_SIGNAL_SAFE override { return {top_.file->fd(), top_.offset}; }
    [[nodiscard]] FileExtent location(std::uint64_t offset, std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] Whereabouts whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE override {
        return {Whereabouts::Place::swap_file, location(offset, core::kUnitBytes).offset};
    }
    void about_to_land(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override {
        top().about_to_land(offset, bytes);
    }
    void landed(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;

    /// Whether freeze() needs layers from make_layers.
    [[nodiscard]] bool needs_layers() const noexcept { return layers_ == nullptr; }

    /// The top becomes a frozen layer, unless no page is in it, and `top` the new one.
    void freeze(FilePart top, LayersPointer fresh) noexcept;

    /// Lets go of frozen layers that no page is in any more.
    void let_go_of_empty_layers() noexcept;

    /// Adds up, for each frozen layer that move_up could empty, the units (4 KiB) in it.
    void add_frozen_units(std::map<std::uint64_t, std::uint64_t>& units_of_layer) const;

    /// Puts all frozen layers that this store still holds into `layers`, the first one too.
    void list_frozen(std::set<std::uint64_t>& layers) const;

    /// Copies what is in the frozen `layers` to the top, so that they can be let go of. Throws std::system_error
    /// (ENOSPC, EIO...), and then a part is copied and all bytes are where they can be read.
    void move_up(const std::set<std::uint64_t>& layers);

protected:
    [[nodiscard]] FileStore top() const noexcept { return {*top_.file, top_.offset}; }
    [[nodiscard]] std::uint64_t top_offset() const noexcept { return top_.offset; }

private:
    [[nodiscard]] const FilePart* holder_of(std::uint64_t unit) const FAULTLINE_SIGNAL_SAFE;
    void move_up(std::uint8_t slot, std::span<std::byte> buffer);

    FilePart top_;
    std::atomic<bool> written_{false};  // to the first file, which nobody counts in
    LayersPointer layers_;
};

}  // namespace faultline::store
