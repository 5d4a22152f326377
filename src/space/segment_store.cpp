#include "space/segment_store.hpp"

#include "core/units.hpp"
#include "store/read_plan.hpp"
#include "store/read_rings.hpp"
#include "sys/error.hpp"

#include <algorithm>
#include <cerrno>

namespace faultline::space {
namespace {

store::SwapStore& require_slots(store::BackingStore& behind) {
    store::SwapStore* const slots = behind.swap_store(0);
    if (slots == nullptr) sys::throw_error(EOPNOTSUPP, "an address space needs a pager that swaps to slots");
    return *slots;
}

}  // namespace

SegmentStore::SegmentStore(std::unique_ptr<store::BackingStore> behind, const sys::Published<SegmentIndex>& index)
    : behind_{std::move(behind)}, swap_{require_slots(*behind_)}, index_{index} {}

SegmentStore::Source SegmentStore::source_of(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    if (swap_.holds(offset)) return {true, nullptr};
    const SegmentIndex::Entry* const segment = index_.read().find(begin_ + offset);
    return {false, segment != nullptr && segment->file != nullptr ? segment : nullptr};
}

/// Returns the run of pages from `offset` on that have one source. Pages without bytes may be in the run: no caller
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

int SegmentStore::plan_read(std::span<const store::StoreRead> reads, store::ReadPlan& plan) FAULTLINE_SIGNAL_SAFE {
    for (store::StoreRead rest : reads) {
        while (!rest.into.empty()) {
            const Run run = run_at(rest.offset, rest.into.size());
            const std::span<std::byte> part = rest.into.first(run.bytes);
            int error = 0;
            if (run.source.swap) {
                const store::StoreRead one{rest.offset, part};
                error = swap_.plan_read({&one, 1}, plan);
            } else if (run.source.segment != nullptr) {
                error = plan_from_file(*run.source.segment, rest.offset, part, plan);
            }
            if (error != 0) return error;
            rest = {rest.offset + run.bytes, rest.into.subspan(run.bytes)};
        }
    }
    return 0;
}

/// A part that is wholly in the file can be read by others. What reaches beyond `file_limit` is read now.
int SegmentStore::plan_from_file(const SegmentIndex::Entry& from, std::uint64_t offset, std::span<std::byte> into,
                                 store::ReadPlan& plan) const FAULTLINE_SIGNAL_SAFE {
    // A run may begin before its segment, and end after it, with pages that have no bytes.
    const std::uintptr_t begin = std::max(begin_ + offset, from.range.begin);
    const std::uintptr_t end = std::min(begin_ + offset + into.size(), from.range.end);
    const std::span<std::byte> part = into.subspan(begin - (begin_ + offset), end - begin);
    const std::uint64_t at = from.offset_of(begin);
    if (at + part.size() > from.file_limit) return from.file->read(at, from.file_limit, part);
    plan.add(from.file->fd(), store::FileEnd::in_page, at, part);
    return 0;
}

int SegmentStore::read_pages(std::span<const store::StoreRead> reads,
                             store::DuringRead* meanwhile) FAULTLINE_SIGNAL_SAFE {
    return store::read_by_plan(*this, reads, meanwhile);
}

int SegmentStore::read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
    return store::read_in_pieces(*this, offset, into);
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
                                            : swap_.write(offset, from.first(run));
        if (error != 0) return error;
        offset += run;
        from = from.subspan(run);
    }
    return 0;
}

/// The pages are zeros from now on. A page of a shared segment comes here only when it has become zeros: a segment is
/// out of the index before its pages are closed.
void SegmentStore::discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    behind_->discard(offset, bytes);
    if (!index_.read().any_shared()) return;
    while (bytes > 0) {
        const Run run = run_at(offset, bytes);
        const SegmentIndex::Entry* const segment = run.source.segment;
        if (segment != nullptr && segment->shared) {
            const std::uintptr_t first = std::max(begin_ + offset, segment->range.begin);
            // Zeros that cannot be written are lost, as the kernel's would be. The next synchronisation reports the
            // error.
            static_cast<void>(
                segment->file->write_zeros(segment->offset_of(first), begin_ + offset + run.bytes - first));
        }
        offset += run.bytes;
        bytes -= run.bytes;
    }
}

store::Whereabouts SegmentStore::whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    const Source source = source_of(offset);
    if (source.swap) return swap_.whereabouts(offset);
    if (source.is_zeros()) return {};
    return {store::Whereabouts::Place::origin, source.segment->offset_of(begin_ + offset)};
}

/// Pages of shared segments have none: their bytes are the file's own.
store::SharedBytes SegmentStore::shared_bytes(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    if (file_notes_ == nullptr) return {};
    if (swap_.holds(offset)) return swap_.shared_bytes(offset);
    const SegmentIndex::Entry* const segment = source_of(offset).segment;
    if (segment == nullptr || segment->shared) return {};
    return {&(*file_notes_)[offset >> core::kUnitShift], segment->file, segment->offset_of(begin_ + offset)};
}

// ---- cloning

void SegmentStore::prepare_to_share(std::uint64_t pages) {
    if (file_notes_ == nullptr) file_notes_ = std::make_shared<const FileNotes>(pages, "notes on file pages");
}

void SegmentStore::share_pages_of(const SegmentStore& other) {
    file_notes_ = other.file_notes_;
    swap_.share_pages_of(other.swap_);
}

}  // namespace faultline::space
