// PageWriter: writes pages of a batch to their stores. Writeback uses it for staged pages, Cleaner for pages that stay
// mapped. It changes no page word: the caller's `finish` does.
#pragma once

#include "core/page_word.hpp"
#include "core/signal_safe.hpp"
#include "pager/core.hpp"
#include "pager/frame/staging.hpp"
#include "pager/region/region.hpp"
#include "store/write_queue.hpp"

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace faultline::pager {

/// Signal-safe. The caller holds the batch, has set `scratch.writing` and `scratch.written` for the pages to write, and
/// is a reader of RegionMap::readers().
class PageWriter {
public:
    explicit PageWriter(PagerCore& core) noexcept : core_{core} {}

    /// Writes the pages that `batch.scratch.writing` marks. `bytes_of(region, entry)` returns where a page's bytes can
    /// be read until the call ends, or null if they cannot be read (EIO). Calls `finish(entry, error, all_zero)` once
    /// for each page; with `all_zero`, nothing was written, since the page is zeros or dead. Returns 0 or the last
    /// error.
    template <typename BytesOf, typename Finish>
    [[nodiscard]] int write(StagingBatch& batch, store::WriteQueue& queue, BytesOf bytes_of,
                            Finish finish) const FAULTLINE_SIGNAL_SAFE {
        StagingBatch::Scratch& scratch = batch.scratch;
        int error = 0;
        const std::size_t writes = gather(batch, bytes_of, finish, error);
        core_.stores->write({scratch.writes, writes}, queue);
        for (std::size_t i = 0; i < writes; ++i) {
            if (scratch.writes[i].error != 0) error = scratch.writes[i].error;
            finish(scratch.entry_of_write[i], scratch.writes[i].error, false);
        }
        return error;
    }

private:
    /// Makes a write in `batch.scratch.writes` of each marked page. Finishes the pages that need no write. Returns the
    /// number of writes.
    template <typename BytesOf, typename Finish>
    std::size_t gather(StagingBatch& batch, BytesOf& bytes_of, Finish& finish, int& error) const FAULTLINE_SIGNAL_SAFE {
        StagingBatch::Scratch& scratch = batch.scratch;
        std::size_t writes = 0;
        for (std::size_t i = 0; i < batch.pages; ++i) {
            if (!scratch.writing[i]) continue;
            const core::PageRef page = scratch.written[i];
            const Region& region = *core_.regions.find(page.region);
            const bool dead = region.is_dead(page.page);
            const std::byte* const bytes = dead ? nullptr : bytes_of(region, i);
            const int read_error = dead || bytes != nullptr ? 0 : EIO;
            if (read_error != 0) error = read_error;
            if (bytes == nullptr || all_zero(bytes, region.page_bytes())) {
                finish(i, read_error, read_error == 0);
                continue;
            }
            scratch.writes[writes] = {&region.store(), region.offset_of(page.page), {bytes, region.page_bytes()}, 0};
            scratch.entry_of_write[writes++] = static_cast<std::uint8_t>(i);
        }
        return writes;
    }

    static bool all_zero(const std::byte* bytes, std::size_t count) FAULTLINE_SIGNAL_SAFE {
        // The first word decides for most pages. Then the page is compared with itself, one word on: memcmp is
        // vectorised.
        std::uint64_t first = 0;
        std::memcpy(&first, bytes, sizeof first);
        return first == 0 && std::memcmp(bytes, bytes + sizeof first, count - sizeof first) == 0;
    }

    PagerCore& core_;
};

}  // namespace faultline::pager
