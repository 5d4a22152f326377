#include "space/segment_store.hpp"

#include "core/units.hpp"
#include "sys/error.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <string>

namespace faultline::space {

/// Drops this store's use of its layers' pages.
SegmentStore::~SegmentStore() {
    core::PageRange run{};
    Number run_number = kOrigin;
    const auto drop_users = [&] {
        // A layer with no other owner is destroyed with this store, so its pages need no dropping.
        if (run.count > 0 && layers_[run_number].use_count() > 1) layers_[run_number]->drop_users(run);
    };
    layer_of_.for_each([&](std::uint64_t page, Number number) {
        if (layer(number) == nullptr) return;
        if (page != run.end() || number != run_number) {
            drop_users();
            run = {page, 0};
            run_number = number;
        }
        ++run.count;
    });
    drop_users();
}

SegmentStore::Source SegmentStore::source_of(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    const Number number = layer_of_.at(offset >> core::kUnitShift);
    if (number == top_number_) return {top_.get(), nullptr};
    if (const SharedLayer* const shared = layer(number)) return {&shared->store(), nullptr};
    const SegmentIndex::Entry* const segment = index_.read().find(begin_ + offset);
    return {nullptr, segment != nullptr && segment->file != nullptr ? segment : nullptr};
}

/// Records that the top (top_number_) or the segment's file (kOrigin) holds the pages' bytes from now on. Drops their
/// use of layers.
void SegmentStore::set_layer(std::uint64_t offset, std::uint64_t bytes, Number number) FAULTLINE_SIGNAL_SAFE {
    const std::uint64_t end = (offset + bytes) >> core::kUnitShift;
    for (std::uint64_t page = offset >> core::kUnitShift; page < end;) {
        const std::uint64_t first = page;
        const Number before = layer_of_.exchange(page++, number);
        while (page < end && layer_of_.at(page) == before) layer_of_.exchange(page++, number);
        if (const SharedLayer* const shared = layer(before)) shared->drop_users({first, page - first});
    }
}

/// Returns the run of pages from `offset` on that one read can bring. Pages without bytes may be in the run: no caller
/// needs their contents.
SegmentStore::Run SegmentStore::run_at(std::uint64_t offset, std::uint64_t most) const FAULTLINE_SIGNAL_SAFE {
    Source source = source_of(offset);
    std::uint64_t bytes = core::kUnitBytes;
    for (std::uint64_t at = bytes; at < most; at += core::kUnitBytes) {
        const Source next = source_of(offset + at);
        if (next.is_zeros()) continue;
        if (source.is_zeros()) source = next;
        if (next != source) break;
        bytes = at + core::kUnitBytes;
    }
    return {source, bytes};
}

int SegmentStore::read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
    while (!into.empty()) {
        const Run run = run_at(offset, into.size());
        const std::span<std::byte> part = into.first(run.bytes);
        int error = 0;
        if (run.source.swap != nullptr) {
            error = run.source.swap->read(offset, part);
        } else if (const SegmentIndex::Entry* const from = run.source.segment) {
            // A run may begin before its segment, with pages that have no bytes.
            const std::uintptr_t first = std::max(begin_ + offset, from->range.begin);
            error = from->file->read(from->offset_of(first), from->file_limit, part.subspan(first - (begin_ + offset)));
        }
        if (error != 0) return error;
        offset += run.bytes;
        into = into.subspan(run.bytes);
    }
    return 0;
}

store::FileExtent SegmentStore::location(std::uint64_t offset, std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE {
    const Run run = run_at(offset, bytes);
    if (run.bytes < bytes) return {};
    if (run.source.swap != nullptr) return run.source.swap->location(offset, bytes);
    const SegmentIndex::Entry* const from = run.source.segment;
    if (from == nullptr || !from->range.contains({begin_ + offset, begin_ + offset + bytes})) return {};
    const std::uint64_t at = from->offset_of(begin_ + offset);
    return from->file_limit < at + bytes ? store::FileExtent{} : store::FileExtent{from->file->fd(), at};
}

/// Returns the shared segment whose file the page is written to, or null.
const SegmentIndex::Entry* SegmentStore::shared_at(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    const SegmentIndex& index = index_.read();
    const SegmentIndex::Entry* const segment = index.any_shared() ? index.find(begin_ + offset) : nullptr;
    return segment != nullptr && segment->shared ? segment : nullptr;
}

int SegmentStore::write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE {
    while (!from.empty()) {
        const SegmentIndex::Entry* const shared = shared_at(offset);
        std::size_t run = core::kUnitBytes;
        while (run < from.size() && shared_at(offset + run) == shared) run += core::kUnitBytes;
        const int error = shared != nullptr ? shared->file->write(shared->offset_of(begin_ + offset), from.first(run))
                                            : write_to_top(offset, from.first(run));
        if (error != 0) return error;
        offset += run;
        from = from.subspan(run);
    }
    return 0;
}

int SegmentStore::write_to_top(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE {
    const int error = top_->write(offset, from);
    if (error == 0) {
        set_layer(offset, from.size(), top_number_);
        return 0;
    }
    // Discard what the failed write left in the top for pages that were not there before: no later call would.
    for (std::uint64_t at = offset; at < offset + from.size(); at += core::kUnitBytes) {
        if (layer_of_.at(at >> core::kUnitShift) != top_number_) top_->discard(at, core::kUnitBytes);
    }
    return error;
}

void SegmentStore::finish_extent_write(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    top_->finish_extent_write(offset, bytes);
    set_layer(offset, bytes, top_number_);
}

/// The pages are zeros from now on. Pages that are not in the top or a layer hold nothing there. A page of a shared
/// segment comes here only when it has become zeros: a segment is out of the index before its pages are closed.
void SegmentStore::discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    while (bytes > 0) {
        const Run run = run_at(offset, bytes);
        if (run.source.swap != nullptr) {
            set_layer(offset, run.bytes, kOrigin);
            if (run.source.swap == top_.get()) top_->discard(offset, run.bytes);
        } else if (run.source.segment != nullptr && run.source.segment->shared) {
            const SegmentIndex::Entry& segment = *run.source.segment;
            const std::uintptr_t first = std::max(begin_ + offset, segment.range.begin);
            // Zeros that cannot be written are lost, as the kernel's would be. The next synchronisation reports the
            // error.
            static_cast<void>(segment.file->write_zeros(segment.offset_of(first), begin_ + offset + run.bytes - first));
        }
        offset += run.bytes;
        bytes -= run.bytes;
    }
}

store::Whereabouts SegmentStore::whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    const Source source = source_of(offset);
    if (source.swap != nullptr) {
        store::Whereabouts where = source.swap->whereabouts(offset);
        const std::uint64_t page = offset >> core::kUnitShift;
        const SharedLayer* const shared = layer(layer_of_.at(page));
        where.shared = shared != nullptr && shared->is_shared(page);
        return where;
    }
    if (source.is_zeros()) return {};
    return {store::Whereabouts::Place::origin, source.segment->offset_of(begin_ + offset)};
}

/// Pages of shared segments have none: their bytes are the file's own.
store::SharedBytes SegmentStore::shared_bytes(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    if (file_notes_ == nullptr) return {};
    const std::uint64_t page = offset >> core::kUnitShift;
    const Number number = layer_of_.at(page);
    if (number == top_number_) return {};
    if (const SharedLayer* const shared = layer(number)) {
        return shared->is_shared(page) ? store::SharedBytes{&shared->note(page), shared, page} : store::SharedBytes{};
    }
    const SegmentIndex::Entry* const segment = source_of(offset).segment;
    if (segment == nullptr || segment->shared) return {};
    return {&(*file_notes_)[page], segment->file, segment->offset_of(begin_ + offset)};
}

// ---- cloning

SegmentStore::Freezing SegmentStore::prepare_freeze(std::unique_ptr<store::BackingStore> top) const {
    constexpr std::size_t kMostNumbers = std::numeric_limits<Number>::max();
    const std::uint64_t pages = bytes_ >> core::kUnitShift;
    Freezing freezing;
    freezing.top = std::move(top);
    freezing.layer = std::make_shared<SharedLayer>(pages);
    freezing.layers = layers_;
    // a number for the new top
    if (std::count(layers_.begin() + 1, layers_.end(), nullptr) < 2) freezing.layers.emplace_back();
    if (freezing.layers.size() > kMostNumbers) {
        sys::throw_error(ENOMEM, "cannot clone the address space: pages of " + std::to_string(kMostNumbers) +
                                     " earlier clones are in use, the most possible; destroy some clones");
    }
    freezing.pages_in.resize(freezing.layers.size());
    freezing.unused.reserve(freezing.layers.size());
    freezing.file_notes = file_notes_ ? file_notes_ : std::make_shared<const FileNotes>(pages, "notes on file pages");
    return freezing;
}

void SegmentStore::freeze(Freezing& freezing) noexcept {
    file_notes_ = freezing.file_notes;
    layers_.swap(freezing.layers);
    layer_of_.for_each([&](std::uint64_t, Number number) { ++freezing.pages_in[number]; });
    for (std::size_t number = kOrigin + 1; number < layers_.size(); ++number) {
        if (layers_[number] && freezing.pages_in[number] == 0) freezing.unused.push_back(std::move(layers_[number]));
    }
    if (freezing.pages_in[top_number_] == 0) return;  // no page was written since the last clone
    layer_of_.for_each([&](std::uint64_t page, Number number) {
        if (number == top_number_) freezing.layer->add_user(page);
    });
    std::swap(top_, freezing.top);
    freezing.layer->set_store(std::move(freezing.top));
    layers_[top_number_] = std::move(freezing.layer);
    top_number_ = static_cast<Number>(std::find(layers_.begin() + 1, layers_.end(), nullptr) - layers_.begin());
}

void SegmentStore::share_layers_of(const SegmentStore& other) {
    layers_ = other.layers_;
    file_notes_ = other.file_notes_;
    top_number_ = other.top_number_;
    other.layer_of_.for_each([&](std::uint64_t page, Number number) {
        layer(number)->add_user(page);
        layer_of_.exchange(page, number);
    });
}

}  // namespace faultline::space
