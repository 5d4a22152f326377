// Heap: a general-purpose allocator whose blocks live in managed memory and may together be larger than the memory that
// one wants to spend. What it knows of its blocks it keeps elsewhere: allocating, freeing and measuring page nothing
// in. It is not the process's malloc; a program may have many.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>
#include <faultline/pager.hpp>
#include <faultline/pin.hpp>
#include <faultline/stats.hpp>
#include <faultline/types.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <span>
#include <vector>

namespace faultline {

namespace heap {
class Heap;
}

struct HeapConfig {
    /// Addresses that the heap reserves, in bytes, rounded up to 4 KiB: the most that its blocks, and the gaps between
    /// them, can ever take. From 1 MiB to 8 TiB. Costs no memory, but about a quarter more addresses, for
    /// bookkeeping.
    std::size_t reservation = std::size_t{64} << 30;

    /// Larger blocks get pages of their own from the top of the reservation; smaller ones share pages with blocks of
    /// their size. In bytes, from 4 KiB to 1 MiB.
    std::size_t large_threshold = std::size_t{128} << 10;

    /// Bytes of pages without a block that may wait to be used again before they are given back to the pager. Such a
    /// page is never written to the store. `kAutomatic`: an eighth of the pager's limit, at most 64 MiB.
    std::size_t dead_bytes_kept = kAutomatic;
    static constexpr std::size_t kAutomatic = ~std::size_t{0};
};

/// Blocks of one size.
struct SizeClassStats {
    std::size_t block_bytes = 0;
    std::uint64_t spans = 0;          ///< Runs of pages that are cut into such blocks.
    std::uint64_t live_blocks = 0;    ///< That the program has.
    std::uint64_t cached_blocks = 0;  ///< Free ones that threads keep for their, or each other's, next allocations.
    std::uint64_t free_blocks = 0;    ///< Free ones in the spans: fragmentation inside.
};

/// In bytes where nothing else is said. Each figure is as it was at some moment of the call.
struct HeapStats {
    std::uint64_t live_bytes = 0;    ///< In blocks that the program has, as long as they are handed out: usable sizes.
    std::uint64_t live_blocks = 0;   ///< How many.
    std::uint64_t large_blocks = 0;  ///< Of those, the ones with pages of their own.
    std::uint64_t large_bytes = 0;   ///< What they take.

    std::uint64_t cached_bytes = 0;        ///< In free blocks that threads keep, or that are on their way between them.
    std::uint64_t free_in_spans = 0;       ///< In free blocks between live ones, and in what is left at ends of spans.
    std::uint64_t free_outside_spans = 0;  ///< In free pages between spans, and between large blocks.
    std::uint64_t reserved_to_grow = 0;    ///< Addresses behind large blocks that have been made larger before.
    std::uint64_t dead_bytes = 0;          ///< In pages without a live block that have not been given back yet.

    std::uint64_t break_bytes = 0;      ///< From the begin of the reservation to the break.
    std::uint64_t mapping_bytes = 0;    ///< From the lowest large block to the end of the reservation.
    std::uint64_t discarded_bytes = 0;  ///< In dead pages that have been given back, since the beginning.

    RegionStats paging;                    ///< What the pager has counted of the heap's memory.
    std::vector<SizeClassStats> by_class;  ///< Classes that have a span, smallest first.
};

/// Safe to use from any thread, not from a signal handler; destroying or moving the handle, and `destroy`, must not
/// race with calls. Threads keep some free blocks (of each size up to 128 that take at most 32 KiB, or 4; none above 32
/// KiB), and give them back when they end; some more, at most a 64th of the pager's limit, are on their way from
/// threads that free to threads that allocate. Blocks are aligned to 16 bytes where nothing else is said, and their
/// bytes are undefined.
///
/// Freeing what is no live block of the heap, or as longer than it is, ends the program with a message that names the
/// block, where the bookkeeping can tell: at once for a block that is free or an address that is none, and for two
/// threads that free one block at the same time when they give it back.
///
/// A block that cannot be had because the reservation or the store is full is null, or std::bad_alloc. That a store has
/// room is found out ahead, as far as the file system says; what others write to the same disk later may still fill it
/// (see Config::full_disk_patience).
///
/// In a child of fork: as a Region. Other threads may be in calls at the fork, which waits for the longer ones; what
/// they were about to free or had just been given stays allocated in a child that inherits, and nothing else is lost.
class FAULTLINE_API Heap {
public:
    /// Throws std::system_error: EINVAL (a figure of `config` out of its range), or what `Pager::reserve` may.
    explicit Heap(Pager& pager, const HeapConfig& config = {});
    /// Drops all blocks and their pages, without a look at any.
    ~Heap();
    Heap(Heap&&) noexcept;
    Heap& operator=(Heap&&) noexcept;
    Heap(const Heap&) = delete;
    Heap& operator=(const Heap&) = delete;

    /// A block of at least `bytes` (0 gives one, too), at a multiple of `alignment`, a power of two of at most 2 MiB.
    /// Throws std::bad_alloc.
    [[nodiscard]] void* allocate(std::size_t bytes);
    [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment);

    /// The same; null when it cannot be had.
    [[nodiscard]] void* try_allocate(std::size_t bytes) noexcept;
    [[nodiscard]] void* try_allocate(std::size_t bytes, std::size_t alignment) noexcept;

    /// A block of `count * bytes` zeros, null when it cannot be had or the product overflows. Pages that are zeros
    /// anyway are not touched, for blocks of at least a page.
    [[nodiscard]] void* try_allocate_zeroed(std::size_t count, std::size_t bytes) noexcept;

    /// Makes a block larger or smaller: its bytes are kept up to the smaller size, and it may move. Null, and the block
    /// stays, when there is no room. `block` null allocates. The new block is aligned to 16 bytes. Large blocks grow
    /// where they are if the addresses behind them are free, else their pages are moved rather than copied where the
    /// delivery can, and room is left behind them to grow into.
    [[nodiscard]] void* try_reallocate(void* block, std::size_t bytes) noexcept;

    /// Null does nothing.
    void deallocate(void* block) noexcept;
    /// `bytes`: what the block was allocated with, or less.
    void deallocate(void* block, std::size_t bytes) noexcept;

    /// How many bytes of the live block `block` the program may use: at least what it asked for.
    [[nodiscard]] std::size_t usable_size(const void* block) const noexcept;

    /// Whether the address lies in the heap's reservation.
    [[nodiscard]] bool owns(const void* address) const noexcept;

    /// Gives back all that is not in use: what the calling thread keeps, all dead pages, and the top of the heap, whose
    /// break falls. Returns how many bytes of dead pages that was.
    std::size_t trim() noexcept;

    /// Like Region::pin: for what system calls and devices read or write. A pinned block must not be freed or
    /// reallocated.
    [[nodiscard]] Pin pin(const void* address, std::size_t bytes, PinFor purpose = PinFor::writing);

    /// See `Advice`; of any part of the heap, with any alignment. Throws std::system_error with EINVAL outside of it.
    void advise(const void* address, std::size_t bytes, Advice advice);

    /// Takes the locks of the size classes, one after the other.
    [[nodiscard]] HeapStats stats() const;

    /// Where the heap's pages are: of the addresses in use, from the begin of the reservation to the break and then
    /// from the lowest large block to the end, in equal parts, low addresses first. For maps; each page as it was at
    /// some moment of the call.
    void residency(std::span<ResidencyCell> cells) const;

    /// For std::pmr containers. Lives as long as the heap, also when the handle is moved.
    [[nodiscard]] std::pmr::memory_resource* resource() const noexcept;

    /// Whether there is a heap behind the handle: not moved from, not destroyed.
    explicit operator bool() const noexcept { return heap_ != nullptr; }

    /// Drops all blocks now. Throws std::system_error with EBUSY while a `Pin` on a block lives, EINVAL when the handle
    /// is empty.
    void destroy();

private:
    template <typename T>
    friend class allocator;

    heap::Heap* heap_ = nullptr;
};

namespace heap {
// What allocator<T> is made of.
[[nodiscard]] FAULTLINE_API void* heap_allocate(Heap* heap, std::size_t bytes, std::size_t alignment);
FAULTLINE_API void heap_deallocate(Heap* heap, void* block, std::size_t bytes) noexcept;
}  // namespace heap

}  // namespace faultline
