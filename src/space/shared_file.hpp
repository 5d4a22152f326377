// SharedFile: the pages of a file that is mapped shared, one set for all spaces of a pager. Each shared mapping of the
// file maps these pages. They are one shared region of the pager, or several where the mappings are far apart; the file
// is their store. It is destroyed with the last mapping. Used by Space.
#pragma once

#include "core/page_range.hpp"
#include "pager/pager.hpp"
#include "space/source_file.hpp"

#include <faultline/types.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace faultline::space {

/// Any thread may call any function. Throws what Pager throws.
class SharedFile {
public:
    /// Returns the object for the file behind `file` in `pager`, however the file was opened. Creates it if needed. It
    /// then also reads and writes through `file`. Returns null if this kernel lacks what sharing needs.
    [[nodiscard]] static std::shared_ptr<SharedFile> of(pager::Pager& pager, std::shared_ptr<const SourceFile> file);

    explicit SharedFile(pager::Pager& pager) noexcept : pager_{pager} {}
    ~SharedFile();
    SharedFile(const SharedFile&) = delete;
    SharedFile& operator=(const SharedFile&) = delete;

    /// Maps the file from `offset` (bytes) on into a closed range of `region`. If it throws, nothing is mapped.
    void map(pager::Region& region, core::PageRange pages, std::uint64_t offset, Access access);
    /// Unmaps a range that was mapped with `access`: see ViewMapper::unmap.
    void unmap(pager::Region& region, core::PageRange pages, Access access);

    /// The files to read from and to write to. Null: no file that is open for writing. Signal-safe.
    [[nodiscard]] const SourceFile* reader() const FAULTLINE_SIGNAL_SAFE { return reader_.load(); }
    [[nodiscard]] const SourceFile* writer() const FAULTLINE_SIGNAL_SAFE { return writer_.load(); }

private:
    /// A region, and the file offset at which it ends.
    struct Extent {
        std::uint64_t end = 0;
        pager::Region* region = nullptr;
    };
    void add_file(std::shared_ptr<const SourceFile> file);
    void ensure_extents(std::uint64_t begin, std::uint64_t end);
    void add_extent(std::uint64_t begin, std::uint64_t end);

    pager::Pager& pager_;
    std::mutex mutex_;  // guards what follows; held while ranges are mapped and unmapped
    std::vector<std::shared_ptr<const SourceFile>> files_;
    std::atomic<const SourceFile*> reader_{nullptr};
    std::atomic<const SourceFile*> writer_{nullptr};
    std::map<std::uint64_t, Extent> extents_;  // by the file offset at which they begin
};

}  // namespace faultline::space
