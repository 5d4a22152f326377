// SharedFile: the pages of a file that is mapped shared, one set for all spaces of a pager: whatever maps the file so
// maps views of these. They are a shared region of the pager's, or several where the mappings are far apart; the file
// is their store. It goes with the last mapping.
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

/// Any thread may call anything. Throws as Pager does.
class SharedFile {
public:
    /// The one of `pager` for the file that `file` is, whoever has opened it; null where this kernel does not have what
    /// it takes. It reads and writes through `file` as well as through those before.
    [[nodiscard]] static std::shared_ptr<SharedFile> of(detail::Pager& pager, std::shared_ptr<const SourceFile> file);

    explicit SharedFile(detail::Pager& pager) noexcept : pager_{pager} {}
    ~SharedFile();
    SharedFile(const SharedFile&) = delete;
    SharedFile& operator=(const SharedFile&) = delete;

    /// Shows the file from `offset` on in a closed range of `region`; when it throws, in none of it.
    void map(detail::Region& region, core::PageRange pages, std::uint64_t offset, Access access);
    /// Takes a range that shows it with `access` away again: see Pager::unmap_views.
    void unmap(detail::Region& region, core::PageRange pages, Access access);

    /// Signal-safe; null: none that may be written to.
    [[nodiscard]] const SourceFile* reader() const FAULTLINE_SIGNAL_SAFE { return reader_.load(); }
    [[nodiscard]] const SourceFile* writer() const FAULTLINE_SIGNAL_SAFE { return writer_.load(); }

private:
    /// Where in the file a region ends that begins at the key.
    struct Extent {
        std::uint64_t end = 0;
        detail::Region* region = nullptr;
    };
    void open_through(std::shared_ptr<const SourceFile> file);
    void cover(std::uint64_t begin, std::uint64_t end);
    void add_extent(std::uint64_t begin, std::uint64_t end);

    detail::Pager& pager_;
    std::mutex mutex_;  // guards what follows, and is held while views come and go
    std::vector<std::shared_ptr<const SourceFile>> files_;
    std::atomic<const SourceFile*> reader_{nullptr};
    std::atomic<const SourceFile*> writer_{nullptr};
    std::map<std::uint64_t, Extent> extents_;  // by where in the file they begin
};

}  // namespace faultline::space
