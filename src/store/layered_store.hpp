// LayeredStore: one region's bytes in several files. Only the newest file, the top, is written to. The others are
// frozen: forked processes read them, too, so they never change. A page leaves a frozen file when it is written to the
// top or discarded. This class knows which file holds each page; SwapSpace opens the files and decides when one is
// frozen. Before the first freeze it keeps no map and costs one branch more than a FileStore.
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

/// A region's part of a file, starting at `offset`. Files of one `layer` were frozen together. A null file means no
/// part.
struct FilePart {
    std::shared_ptr<BlockFile> file;
    std::uint64_t offset = 0;
    std::uint64_t layer = 0;
};

/// See BackingStore for the overrides. All other calls are for the control path, while no other call on the store is in
/// progress: they may close the file of a layer.
class LayeredStore : public BackingStore {
public:
    /// The most frozen layers of one store, not counting the first. A store with that many must not be frozen again
    /// before move_up.
    static constexpr std::size_t kMostFrozen = 30;

    /// The file of each page. Allocated in advance, because freezing must not fail.
    class Layers;
    struct DeleteLayers {
        void operator()(Layers* layers) const noexcept;
    };
    using LayersPointer = std::unique_ptr<Layers, DeleteLayers>;
    /// Allocates the map for a region of `bytes`. Throws std::system_error (ENOMEM), std::bad_alloc.
    [[nodiscard]] static LayersPointer make_layers(std::uint64_t bytes);

    /// An empty store; no other store uses its part of the file. With `layers` it tracks the file of each page from the
    /// start. Without, the pages in the first file are not tracked: that file stays open as long as the store.
    LayeredStore(FilePart top, LayersPointer layers) noexcept;
    LayeredStore(const LayeredStore&) = delete;
    LayeredStore& operator=(const LayeredStore&) = delete;

    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE override;
    /// Punches a hole in the top. A frozen layer keeps the bytes of its pages: only the map changes.
    void discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    void discard_keeping_space(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] FileExtent extent() const FAULTLINE_SIGNAL_SAFE override { return {top_.file->fd(), top_.offset}; }
    [[nodiscard]] FileExtent location(std::uint64_t offset, std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE override;
    [[nodiscard]] Whereabouts whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE override {
        return {Whereabouts::Place::swap_file, location(offset, core::kUnitBytes).offset};
    }
    void begin_extent_write(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override {
        top().begin_extent_write(offset, bytes);
    }
    void finish_extent_write(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override;

    /// Returns true if freeze() needs layers from make_layers.
    [[nodiscard]] bool needs_layers() const noexcept { return layers_ == nullptr; }

    /// Makes `top` the new top. The old top becomes a frozen layer, unless it holds no page.
    void freeze(FilePart top, LayersPointer fresh) noexcept;

    /// Closes the frozen layers that hold no page any more.
    void close_empty_layers() noexcept;

    /// Adds, for each frozen layer that move_up could empty, the number of units (4 KiB) in it.
    void add_frozen_units(std::map<std::uint64_t, std::uint64_t>& units_of_layer) const;

    /// Adds all frozen layers of this store to `layers`, including the first.
    void list_frozen(std::set<std::uint64_t>& layers) const;

    /// Copies the pages in the frozen `layers` to the top, so that these layers can be closed. Throws std::system_error
    /// (ENOSPC, EIO...). Then a part was copied, and every page is still readable.
    void move_up(const std::set<std::uint64_t>& layers);

protected:
    [[nodiscard]] FileStore top() const noexcept { return {*top_.file, top_.offset}; }
    [[nodiscard]] std::uint64_t top_offset() const noexcept { return top_.offset; }

private:
    [[nodiscard]] const FilePart* holder_of(std::uint64_t unit) const FAULTLINE_SIGNAL_SAFE;
    void move_up(std::uint8_t slot, std::span<std::byte> buffer);

    FilePart top_;
    std::atomic<bool> written_{false};  // whether the first file was written to; its pages are not counted
    LayersPointer layers_;
};

}  // namespace faultline::store
