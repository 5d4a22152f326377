// LargeBlocks: allocates and frees blocks that have whole pages of their own. They are runs of pages; they grow in
// place or move by remapping pages instead of copying. Used by Heap.
#pragma once

#include "heap/heap_pages.hpp"
#include "heap/page_discarder.hpp"
#include "heap/page_sweeper.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::heap {

/// All functions are called inside a NoForkSection, because they lock; without a lock held, because they may touch
/// blocks.
class LargeBlocks {
public:
    LargeBlocks(pager::Pager& pager, HeapPages& pages, PageDiscarder& discarder, PageSweeper& sweeper) noexcept
        : pager_{pager}, pages_{pages}, discarder_{discarder}, sweeper_{sweeper} {}

    /// Returns a live block of at least `bytes` (at most HeapPages::bytes()) at a multiple of `alignment`, or null if
    /// there is no room for it.
    [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment, Zeroed zeroed) noexcept;
    /// Frees a block whose mark is not live any more.
    void deallocate(Span& span) noexcept;
    /// Resizes a live block. Returns its new address, or null, with the block unchanged, if there is no room.
    [[nodiscard]] void* reallocate(Span& span, std::size_t bytes) noexcept;

private:
    [[nodiscard]] void* move(Span& from, std::uint64_t pages) noexcept;
    [[nodiscard]] std::uint64_t move_pages(std::uint64_t from, std::uint64_t to, std::uint64_t count) noexcept;
    void copy_pages(std::uint64_t from, std::uint64_t to, std::uint64_t count) noexcept;
    void zero_touched(core::PageRange pages) noexcept;
    void zero(core::PageRange stale) noexcept;

    pager::Pager& pager_;
    HeapPages& pages_;
    PageDiscarder& discarder_;
    PageSweeper& sweeper_;
};

}  // namespace faultline::heap
