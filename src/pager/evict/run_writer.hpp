// RunWriter: writes pages of a batch to their stores, neighbours with one write. Writeback uses it for staged pages,
// Cleaner for pages that stay mapped. It changes no page word: the caller's `finish` does.
#pragma once

#include "core/page_word.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "pager/frame/staging.hpp"
#include "pager/region/region.hpp"
#include "pager/region/region_directory.hpp"
#include "store/write_queue.hpp"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>

namespace faultline::pager {

/// Signal-safe. The caller holds the batch, has set `scratch.writing` and `scratch.written` for the pages to write, and
/// is a reader of RegionMap::readers().
class RunWriter {
public:
    explicit RunWriter(const RegionDirectory& regions) noexcept : regions_{regions} {}

    /// Writes the pages that `batch.scratch.writing` marks. `bytes_of(region, entry)` returns where a page's bytes can
    /// be read until the call ends, or null if they cannot be read (EIO). Calls `finish(entry, error, all_zero)` once
    /// for each page; with `all_zero`, nothing was written, since the page is zeros or dead. Returns 0 or the last
    /// error.
    template <typename BytesOf, typename Finish>
    [[nodiscard]] int write(StagingBatch& batch, store::WriteQueue& queue, BytesOf bytes_of,
                            Finish finish) const FAULTLINE_SIGNAL_SAFE {
        int error = 0;
        const std::size_t runs = gather(batch, bytes_of, finish, error);
        queue.write({batch.scratch.writes, runs});
        for (std::size_t run = 0; run < runs; ++run) {
            const store::StoreWrite& done = batch.scratch.writes[run];
            if (done.error != 0) error = done.error;
            std::size_t finished = 0;
            for (std::size_t i = batch.scratch.first_entry_of_write[run]; finished < done.bytes.size(); ++i) {
                finished += std::size_t{batch.entries[i].units} * core::kUnitBytes;
                finish(i, done.error, false);
            }
        }
        return error;
    }

private:
    // Long enough for the device's full speed, short enough that the writes of one batch overlap.
    static constexpr std::size_t kMostBytesPerWrite = std::size_t{256} << 10;

    /// Turns the marked pages into writes in `batch.scratch.writes`. Finishes the pages that need no write. Returns the
    /// number of writes.
    template <typename BytesOf, typename Finish>
    std::size_t gather(StagingBatch& batch, BytesOf& bytes_of, Finish& finish, int& error) const FAULTLINE_SIGNAL_SAFE {
        StagingBatch::Scratch& scratch = batch.scratch;
        std::size_t runs = 0;
        std::size_t previous = batch.pages;  // the entry that ends the current run
        for (std::size_t i = 0; i < batch.pages; ++i) {
            if (!scratch.writing[i]) continue;
            const core::PageRef page = scratch.written[i];
            const Region& region = *regions_.find(page.region);
            const bool dead = region.is_dead(page.page);
            const std::byte* const bytes = dead ? nullptr : bytes_of(region, i);
            const int read_error = dead || bytes != nullptr ? 0 : EIO;
            if (read_error != 0) error = read_error;
            if (bytes == nullptr || all_zero(bytes, region.page_bytes())) {
                finish(i, read_error, read_error == 0);
                continue;
            }
            const bool continues = runs > 0 && scratch.writes[runs - 1].bytes.size() < kMostBytesPerWrite &&
                                   previous + 1 == i && scratch.written[previous].region == page.region &&
                                   scratch.written[previous].page + 1 == page.page &&
                                   std::to_address(scratch.writes[runs - 1].bytes.end()) == bytes;
            if (continues) {
                std::span<const std::byte>& run = scratch.writes[runs - 1].bytes;
                run = {run.data(), run.size() + region.page_bytes()};
            } else {
                scratch.writes[runs] = {&region.store(), region.offset_of(page.page), {bytes, region.page_bytes()}, 0};
                scratch.first_entry_of_write[runs++] = static_cast<std::uint8_t>(i);
            }
            previous = i;
        }
        return runs;
    }

    static bool all_zero(const std::byte* bytes, std::size_t count) FAULTLINE_SIGNAL_SAFE {
        // The first word decides for most pages. Then the page is compared with itself, one word on: memcmp is
        // vectorised.
        std::uint64_t first = 0;
        std::memcpy(&first, bytes, sizeof first);
        return first == 0 && std::memcmp(bytes, bytes + sizeof first, count - sizeof first) == 0;
    }

    const RegionDirectory& regions_;
};

}  // namespace faultline::pager
