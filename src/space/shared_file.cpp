#include "space/shared_file.hpp"

#include "core/units.hpp"
#include "store/backing_store.hpp"
#include "store/read_plan.hpp"

#include <algorithm>
#include <cerrno>
#include <tuple>
#include <utility>

namespace faultline::space {
namespace {

// The size and alignment of a region, so that many small mappings of a file share few regions.
constexpr std::uint64_t kExtentBytes = std::uint64_t{64} << 20;

/// The store of a region: a part of the file.
class FilePart final : public store::BackingStore {
public:
    FilePart(const SharedFile& file, std::uint64_t begin) : file_{file}, begin_{begin} {}

    [[nodiscard]] int read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE override {
        constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
        return file_.reader()->read(begin_ + offset, kNoLimit, into);
    }
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE override {
        const SourceFile* const file = file_.writer();
        return file == nullptr ? EBADF : file->write(begin_ + offset, from);
    }
    /// Writes zeros to the file. Zeros that cannot be written are lost, as the kernel's would be. The next
    /// synchronisation reports the error.
    void discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE override {
        if (const SourceFile* const file = file_.writer()) {
            static_cast<void>(file->write_zeros(begin_ + offset, bytes));
        }
    }
    /// Does nothing: the file keeps its bytes.
    void discard_keeping_space(std::uint64_t, std::uint64_t) FAULTLINE_SIGNAL_SAFE override {}
    [[nodiscard]] int plan_read(std::span<const store::StoreRead> reads,
                                store::ReadPlan& plan) FAULTLINE_SIGNAL_SAFE override {
        for (const store::StoreRead& one : reads) {
            plan.add(file_.reader()->fd(), store::FileEnd::in_page, begin_ + one.offset, one.into);
        }
        return 0;
    }
    [[nodiscard]] store::Whereabouts whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE override {
        return {store::Whereabouts::Place::origin, begin_ + offset};
    }

private:
    const SharedFile& file_;
    std::uint64_t begin_;
};

/// All SharedFile objects of the process. Never destroyed, since files may be shared until the process ends.
struct Register {
    using Key = std::tuple<const pager::Pager*, std::uint64_t, std::uint64_t>;
    std::mutex mutex;
    std::map<Key, std::weak_ptr<SharedFile>> files;
};
Register& all_shared() {
    static auto* const files = new Register;
    return *files;
}

}  // namespace

std::shared_ptr<SharedFile> SharedFile::of(pager::Pager& pager, std::shared_ptr<const SourceFile> file) {
    if (!pager.views().can_share()) return nullptr;
    std::shared_ptr<SharedFile> shared;
    {
        Register& all = all_shared();
        const std::lock_guard lock{all.mutex};
        std::erase_if(all.files, [](const auto& entry) { return entry.second.expired(); });
        std::weak_ptr<SharedFile>& known = all.files[{&pager, file->device(), file->inode()}];
        shared = known.lock();
        if (!shared) known = shared = std::make_shared<SharedFile>(pager);
    }
    shared->add_file(std::move(file));
    return shared;
}

/// Destroys the regions. All mappings were removed before, and wrote out what was dirty; what a space left that could
/// not be constructed is written here.
SharedFile::~SharedFile() {
    if (!pager_.in_owner_process())
        return;  // a child of fork that has not inherited the pager does not own the regions
    for (const auto& [begin, extent] : extents_) {
        static_cast<void>(pager_.views().write_out(*extent.region, {0, extent.region->pages()}));
        pager_.destroy_or_report(*extent.region);
    }
}

/// Keeps `file` open if it is the first to read from, or the first to write to. One of each is enough.
void SharedFile::add_file(std::shared_ptr<const SourceFile> file) {
    const std::lock_guard lock{mutex_};
    const bool to_read = reader_.load() == nullptr;
    const bool to_write = writer_.load() == nullptr && file->writable();
    if (!to_read && !to_write) return;
    if (to_read) reader_.store(file.get());
    if (to_write) writer_.store(file.get());
    files_.push_back(std::move(file));
}

void SharedFile::map(pager::Region& region, core::PageRange pages, std::uint64_t offset, Access access) {
    const std::lock_guard lock{mutex_};
    const std::uint64_t end = offset + (pages.count << core::kUnitShift);
    ensure_extents(offset, end);
    std::uint64_t done = 0;
    try {
        for (auto at = std::prev(extents_.upper_bound(offset)); offset < end; ++at) {
            const auto& [begin, extent] = *at;
            const std::uint64_t count = (std::min(end, extent.end) - offset) >> core::kUnitShift;
            pager_.views().map(region, {pages.first + done, count}, *extent.region,
                               (offset - begin) >> core::kUnitShift, access);
            done += count;
            offset += count << core::kUnitShift;
        }
    } catch (...) {
        if (done > 0) pager_.views().unmap(region, {pages.first, done}, access);
        throw;
    }
}

void SharedFile::unmap(pager::Region& region, core::PageRange pages, Access access) {
    const std::lock_guard lock{mutex_};
    pager_.views().unmap(region, pages, access);
}

/// Creates regions until they cover [begin, end) of the file, whole pages.
void SharedFile::ensure_extents(std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t at = begin; at < end;) {
        const auto after = extents_.upper_bound(at);
        const std::uint64_t before = after == extents_.begin() ? 0 : std::prev(after)->second.end;
        if (before > at) {
            at = before;
            continue;
        }
        const std::uint64_t next = after == extents_.end() ? core::align_up(end, kExtentBytes) : after->first;
        const std::uint64_t first = std::max(before, core::align_down(at, kExtentBytes));
        const std::uint64_t last = std::min(next, core::align_up(end, kExtentBytes));
        add_extent(first, last);
        at = last;
    }
}

void SharedFile::add_extent(std::uint64_t begin, std::uint64_t end) {
    const auto added = extents_.emplace(begin, Extent{end, nullptr}).first;
    try {
        added->second.region = &pager_.reserve(
            end - begin, core::kUnitBytes,
            {.decorate = [&](std::unique_ptr<store::BackingStore>) { return std::make_unique<FilePart>(*this, begin); },
             .shared = true});
    } catch (...) {
        extents_.erase(added);
        throw;
    }
}

}  // namespace faultline::space
