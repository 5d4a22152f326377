#include "space/segment_store.hpp"

#include "core/units.hpp"

#include <algorithm>

namespace faultline::space {
namespace {

core::PageRange pages_of(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    return {offset >> core::kUnitShift, bytes >> core::kUnitShift};
}

}  // namespace

SegmentStore::Source SegmentStore::source_of(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    if (swapped_.contains(offset >> core::kUnitShift)) return {true, nullptr};
    const SegmentIndex::Entry* const segment = index_.read().find(begin_ + offset);
    return {false, segment != nullptr && segment->file != nullptr ? segment : nullptr};
}

/// The pages from `offset` on that one read can bring. Those that are nowhere are nobody's who reads: they join in
/// between.
SegmentStore::Run SegmentStore::run_at(std::uint64_t offset, std::uint64_t most) const FAULTLINE_SIGNAL_SAFE {
    Source source = source_of(offset);
    std::uint64_t bytes = core::kUnitBytes;
    for (std::uint64_t at = bytes; at < most; at += core::kUnitBytes) {
        const Source next = source_of(offset + at);
        if (next.nowhere()) continue;
        if (source.nowhere()) source = next;
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
        if (run.source.swap) {
            error = behind_->read(offset, part);
        } else if (const SegmentIndex::Entry* const from = run.source.segment) {
            // A run may begin before its segment, with pages that are nowhere.
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
    if (run.source.swap) return behind_->location(offset, bytes);
    const SegmentIndex::Entry* const from = run.source.segment;
    if (from == nullptr || !from->range.contains({begin_ + offset, begin_ + offset + bytes})) return {};
    const std::uint64_t at = from->offset_of(begin_ + offset);
    return from->file_limit < at + bytes ? store::FileExtent{} : store::FileExtent{from->file->fd(), at};
}

/// The segment whose file a page is written to, or null.
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
                                            : write_behind(offset, from.first(run));
        if (error != 0) return error;
        offset += run;
        from = from.subspan(run);
    }
    return 0;
}

int SegmentStore::write_behind(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE {
    const int error = behind_->write(offset, from);
    if (error == 0) {
        swapped_.insert(pages_of(offset, from.size()));
        return 0;
    }
    // What a page that was not there before has left there counts for nothing, and nobody would discard it.
    for (std::uint64_t at = offset; at < offset + from.size(); at += core::kUnitBytes) {
        if (!swapped_.contains(at >> core::kUnitShift)) behind_->discard(at, core::kUnitBytes);
    }
    return error;
}

void SegmentStore::landed(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    behind_->landed(offset, bytes);
    swapped_.insert(pages_of(offset, bytes));
}

/// Of pages that never went behind there is nothing to forget there. Of a shared segment only pages that have become
/// zeros come here: one that goes is out of the index before.
void SegmentStore::discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    while (bytes > 0) {
        const Run run = run_at(offset, bytes);
        if (run.source.swap) {
            swapped_.erase(pages_of(offset, run.bytes));
            behind_->discard(offset, run.bytes);
        } else if (run.source.segment != nullptr && run.source.segment->shared) {
            const SegmentIndex::Entry& segment = *run.source.segment;
            const std::uintptr_t first = std::max(begin_ + offset, segment.range.begin);
            // Zeros that the disk does not take are lost, as the kernel's would be; the next synchronisation says so.
            static_cast<void>(segment.file->write_zeros(segment.offset_of(first), begin_ + offset + run.bytes - first));
        }
        offset += run.bytes;
        bytes -= run.bytes;
    }
}

store::Whereabouts SegmentStore::whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    const Source source = source_of(offset);
    if (source.swap) return behind_->whereabouts(offset);
    if (source.nowhere()) return {};
    return {store::Whereabouts::Place::origin, source.segment->offset_of(begin_ + offset)};
}

}  // namespace faultline::space
