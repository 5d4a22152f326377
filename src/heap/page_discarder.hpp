// PageDiscarder: gives the contents of a heap's pages back to the pager, so that the pages are zeros (fresh) again, and
// counts them. The caller holds the pages: no block on them is handed out meanwhile. Used by PageSweeper and
// LargeBlocks.
#pragma once

#include "core/page_range.hpp"
#include "heap/heap_pages.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::heap {

class PageDiscarder {
public:
    PageDiscarder(pager::Pager& pager, HeapPages& pages) noexcept : pager_{pager}, pages_{pages} {}

    /// Discards pages and marks them fresh. Returns false, and changes nothing, if the pager refuses: a page is pinned,
    /// or this is a child of fork that has not inherited the region.
    bool discard(core::PageRange pages) noexcept;
    /// The same for pages that are marked fresh: prefetch may have made them resident.
    bool discard_fresh(core::PageRange pages) noexcept;

    /// Returns the bytes of dead pages discarded so far.
    [[nodiscard]] std::uint64_t discarded_bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }

private:
    pager::Pager& pager_;
    HeapPages& pages_;
    std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace faultline::heap
