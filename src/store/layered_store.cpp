#include "store/layered_store.hpp"

#include "core/check.hpp"
#include "sys/error.hpp"
#include "sys/mapping.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace faultline::store {
namespace {

using Slot = std::uint8_t;

constexpr Slot kFirst = 0;  // slot of a unit not touched since the map exists: in the first file, or nowhere
constexpr std::size_t kSlots = LayeredStore::kMostFrozen + 2;  // the first file and the top
constexpr Slot kNowhere = 0xff;
static_assert(kSlots <= kNowhere);

constexpr std::size_t kCopyBytes = std::size_t{256} << 10;

std::uint64_t unit_at(std::uint64_t offset) FAULTLINE_SIGNAL_SAFE { return offset >> core::kUnitShift; }

}  // namespace

class LayeredStore::Layers {
public:
    explicit Layers(std::uint64_t bytes) : where_{unit_at(bytes), "a map of swap layers"} {}

    [[nodiscard]] std::size_t size() const noexcept { return where_.size(); }
    [[nodiscard]] Slot at(std::uint64_t unit) const FAULTLINE_SIGNAL_SAFE {
        return where_[unit].load(std::memory_order_acquire);
    }

    /// Records that the unit is in `slot`, and counts the units of each slot.
    void put(std::uint64_t unit, Slot slot) FAULTLINE_SIGNAL_SAFE {
        if (slot == kNowhere && at(unit) == kFirst && !frozen[kFirst].file)
            return;  // saves memory: the map's page stays untouched
        const Slot before = where_[unit].exchange(slot, std::memory_order_acq_rel);
        if (before == slot) return;
        if (counted(slot)) units[slot].fetch_add(1, std::memory_order_relaxed);
        if (counted(before)) units[before].fetch_sub(1, std::memory_order_relaxed);
    }

    /// Returns the first unit at or after `unit` that is in `slot`, or size(). No other thread may change the map.
    [[nodiscard]] std::uint64_t next_in(Slot slot, std::uint64_t unit) const noexcept {
        if (unit >= size()) return size();
        static_assert(sizeof(std::atomic<Slot>) == sizeof(Slot));
        const auto* const bytes = reinterpret_cast<const std::byte*>(where_.span().data());
        const void* const found = std::memchr(bytes + unit, slot, size() - unit);
        return found == nullptr ? size() : static_cast<std::uint64_t>(static_cast<const std::byte*>(found) - bytes);
    }

    [[nodiscard]] Slot unused_slot() const noexcept {
        for (Slot slot = kFirst + 1; slot < kSlots; ++slot) {
            if (slot != top && !frozen[slot].file) return slot;
        }
        FAULTLINE_REQUIRE(false, "a store has no free slot for another swap layer");
        return 0;
    }

    Slot top = kFirst + 1;
    std::array<FilePart, kSlots> frozen;                     // [top] stays empty
    std::array<std::atomic<std::uint64_t>, kSlots> units{};  // [kFirst] is not counted

private:
    static constexpr bool counted(Slot slot) noexcept { return slot != kFirst && slot != kNowhere; }

    sys::LazyArray<std::atomic<Slot>> where_;
};

void LayeredStore::DeleteLayers::operator()(Layers* layers) const noexcept { delete layers; }

LayeredStore::LayersPointer LayeredStore::make_layers(std::uint64_t bytes) { return LayersPointer{new Layers{bytes}}; }

LayeredStore::LayeredStore(FilePart top, LayersPointer layers) noexcept
    : top_{std::move(top)}, layers_{std::move(layers)} {}

// ---- Serving faults

/// Returns the file part that holds the unit; null if there is none, and then its bytes are undefined.
const FilePart* LayeredStore::holder_of(std::uint64_t unit) const FAULTLINE_SIGNAL_SAFE {
    const Slot slot = layers_->at(unit);
    if (slot == layers_->top) return &top_;
    if (slot == kNowhere || !layers_->frozen[slot].file) return nullptr;
    return &layers_->frozen[slot];
}

int LayeredStore::read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
    if (layers_ == nullptr) return top().read(offset, into);
    while (!into.empty()) {
        const FilePart* part = holder_of(unit_at(offset));
        std::size_t run = std::min(core::kUnitBytes, into.size());
        for (; run < into.size(); run = std::min(run + core::kUnitBytes, into.size())) {
            const FilePart* const next = holder_of(unit_at(offset + run));
            // A long read may include units that no file holds; they need no read of their own.
            if (part == nullptr) part = next;
            if (next != nullptr && next != part) break;
        }
        const FilePart& from = part == nullptr ? top_ : *part;
        if (const int error = FileStore{*from.file, from.offset}.read(offset, into.first(run))) return error;
        offset += run;
        into = into.subspan(run);
    }
    return 0;
}

FileExtent LayeredStore::location(std::uint64_t offset, std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE {
    const FilePart* from = &top_;
    if (layers_ != nullptr) {
        from = holder_of(unit_at(offset));
        for (std::uint64_t at = offset; at < offset + bytes; at += core::kUnitBytes) {
            const FilePart* const part = holder_of(unit_at(at));
            if (part != nullptr && part != from) return {};
        }
    }
    return from == nullptr ? FileExtent{} : FileExtent{from->file->fd(), from->offset + offset};
}

int LayeredStore::write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE {
    const int error = top().write(offset, from);
    if (error == 0) finish_extent_write(offset, from.size());
    return error;
}

void LayeredStore::finish_extent_write(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    if (layers_ == nullptr) {
        // Loaded first: storing only once keeps the cache line shared by all cores.
        if (!written_.load(std::memory_order_relaxed)) written_.store(true, std::memory_order_relaxed);
        return;
    }
    const std::uint64_t end = unit_at(offset + bytes + core::kUnitBytes - 1);
    for (std::uint64_t unit = unit_at(offset); unit < end; ++unit) layers_->put(unit, layers_->top);
}

void LayeredStore::discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    // The whole range: only this region uses this part of the top, and a failed write may have left blocks anywhere.
    top().discard(offset, bytes);
    discard_keeping_space(offset, bytes);
}

void LayeredStore::discard_keeping_space(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    if (layers_ == nullptr) return;
    const std::uint64_t end = unit_at(offset + bytes);
    for (std::uint64_t unit = unit_at(offset); unit < end; ++unit) layers_->put(unit, kNowhere);
}

// ---- Control path

void LayeredStore::freeze(FilePart top, LayersPointer fresh) noexcept {
    if (layers_ == nullptr) {
        layers_ = std::move(fresh);
        FAULTLINE_REQUIRE(layers_ != nullptr, "freeze was called without a map of layers");
        if (written_.load(std::memory_order_relaxed)) layers_->frozen[kFirst] = std::move(top_);
    } else if (layers_->units[layers_->top].load(std::memory_order_relaxed) > 0) {
        const Slot next = layers_->unused_slot();
        layers_->frozen[layers_->top] = std::move(top_);
        layers_->top = next;
    }
    top_ = std::move(top);
}

void LayeredStore::close_empty_layers() noexcept {
    if (layers_ == nullptr) return;
    for (Slot slot = kFirst + 1; slot < kSlots; ++slot) {
        if (layers_->units[slot].load(std::memory_order_relaxed) == 0) layers_->frozen[slot] = {};
    }
}

void LayeredStore::add_frozen_units(std::map<std::uint64_t, std::uint64_t>& units_of_layer) const {
    if (layers_ == nullptr) return;
    for (Slot slot = kFirst + 1; slot < kSlots; ++slot) {
        const FilePart& part = layers_->frozen[slot];
        if (part.file) units_of_layer[part.layer] += layers_->units[slot].load(std::memory_order_relaxed);
    }
}

void LayeredStore::list_frozen(std::set<std::uint64_t>& layers) const {
    if (layers_ == nullptr) return;
    for (const FilePart& part : layers_->frozen) {
        if (part.file) layers.insert(part.layer);
    }
}

void LayeredStore::move_up(const std::set<std::uint64_t>& layers) {
    if (layers_ == nullptr) return;
    const sys::Mapping buffer = sys::Mapping::reserve(kCopyBytes, core::kUnitBytes, true, "a copy buffer");
    for (Slot slot = kFirst + 1; slot < kSlots; ++slot) {
        const FilePart& part = layers_->frozen[slot];
        if (part.file && layers.contains(part.layer)) move_up(slot, buffer.bytes());
    }
    close_empty_layers();
}

void LayeredStore::move_up(std::uint8_t slot, std::span<std::byte> buffer) {
    const FilePart& part = layers_->frozen[slot];
    FileStore frozen{*part.file, part.offset};
    std::uint64_t unit = 0;
    while (layers_->units[slot].load(std::memory_order_relaxed) > 0) {
        unit = layers_->next_in(slot, unit);
        FAULTLINE_REQUIRE(unit < layers_->size(), "the page count of a swap layer does not match its map");
        const std::uint64_t most = std::min<std::uint64_t>(unit + unit_at(buffer.size()), layers_->size());
        std::uint64_t end = unit + 1;
        while (end < most && layers_->at(end) == slot) ++end;
        const std::span<std::byte> bytes = buffer.first((end - unit) << core::kUnitShift);
        int error = frozen.read(unit << core::kUnitShift, bytes);
        if (error == 0) error = write(unit << core::kUnitShift, bytes);
        if (error != 0) sys::throw_error(error, "cannot move pages from an older swap file to the current one");
        unit = end;
    }
}

}  // namespace faultline::store
