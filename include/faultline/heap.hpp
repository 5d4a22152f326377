/// @file
/// Heap: a general-purpose allocator whose blocks lie in managed memory. Together they may be larger than the pager's
/// limit. Its metadata lies outside managed memory: to allocate, free or measure a block makes no page resident. It is
/// not the process's malloc; a program may have many heaps. Programs create one over a Pager and call it directly,
/// through `allocator<T>`, or through std::pmr.
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

/// Parts of the heap that headers name. Not for programs.
namespace heap {
class Heap;
}

inline namespace v0 {

/// The options of a heap. The constructor of `Heap` throws EINVAL for a value out of range.
struct HeapOptions {
    /// Size in bytes of the address range that the heap reserves, rounded up to 4 KiB: 1 MiB to 8 TiB. It limits the
    /// blocks and the gaps between them. It costs no memory, and about a quarter more addresses for metadata.
    std::size_t reservation = std::size_t{64} << 30;

    /// Threshold in bytes, 4 KiB to 1 MiB. Larger blocks get pages of their own from the top of the reservation.
    /// Smaller blocks share pages with blocks of their size.
    std::size_t large_threshold = std::size_t{128} << 10;

    /// Limit in bytes of the dead pages (pages without a block) that the heap keeps for reuse before it discards them.
    /// A dead page is never written to the store. `kAutomatic`: an eighth of the pager's limit, at most 64 MiB.
    std::size_t dead_bytes_kept = kAutomatic;
    /// The value of `dead_bytes_kept` that makes the heap choose.
    static constexpr std::size_t kAutomatic = ~std::size_t{0};
};

/// Counts the blocks of one size.
struct SizeClassStats {
    std::size_t block_bytes = 0;      ///< The size of one block, in bytes.
    std::uint64_t spans = 0;          ///< Runs of pages that are divided into such blocks.
    std::uint64_t live_blocks = 0;    ///< Allocated blocks.
    std::uint64_t cached_blocks = 0;  ///< Free blocks that threads keep for their own or each other's allocations.
    std::uint64_t free_blocks = 0;    ///< Free blocks in the spans: internal fragmentation.
};

/// What a heap has counted; in bytes unless a field says otherwise. Each figure is as it was at some moment of the
/// call.
struct HeapStats {
    std::uint64_t live_bytes = 0;    ///< Usable sizes of the allocated blocks.
    std::uint64_t live_blocks = 0;   ///< Number of allocated blocks.
    std::uint64_t large_blocks = 0;  ///< Number of allocated blocks with pages of their own.
    std::uint64_t large_bytes = 0;   ///< Bytes of those blocks.

    std::uint64_t cached_bytes = 0;   ///< In free blocks that threads keep, or that are in transit between threads.
    std::uint64_t free_in_spans = 0;  ///< In free blocks of spans, and in the unused ends of spans.
    std::uint64_t free_outside_spans = 0;  ///< In free pages between spans and between large blocks.
    std::uint64_t reserved_to_grow = 0;    ///< Addresses behind large blocks that have grown before.
    std::uint64_t dead_bytes = 0;          ///< In dead pages that are not discarded yet.

    std::uint64_t break_bytes = 0;      ///< From the begin of the reservation to the break.
    std::uint64_t mapping_bytes = 0;    ///< From the lowest large block to the end of the reservation.
    std::uint64_t discarded_bytes = 0;  ///< In dead pages that the heap has discarded since it was made.

    RegionStats paging;                    ///< What the pager has counted of the heap's memory.
    std::vector<SizeClassStats> by_class;  ///< Size classes that have a span, smallest first.
};

/// An allocator in managed memory.
///
/// Any thread may call the functions, but not in a signal handler. Destroying or moving the handle, and `destroy`, must
/// not race with calls. Calls on an empty handle are undefined, except `owns`, `operator bool` and `destroy`.
///
/// Blocks are aligned to 16 bytes unless a function says otherwise. Their bytes are undefined. A thread caches free
/// blocks: of each size up to 128 blocks that together take at most 32 KiB, or 4 if more do not fit; no blocks above 32
/// KiB. It returns them when it ends. More free blocks, at most 1/64 of the pager's limit, are in transit from threads
/// that free to threads that allocate.
///
/// To free an address that is no live block of the heap, or with a size larger than the block's, ends the program with
/// a message that names the block, if the metadata shows it. A free block or an address outside blocks shows at once.
/// Two threads that free one block at the same time show when the block is returned to its span.
///
/// When the reservation or the store is full, the result is null or std::bad_alloc. The heap checks in advance that the
/// store has room, as far as the file system reports it. Other writers to the same disk may still fill it later (see
/// Config::full_disk_patience).
///
/// A child of fork gets the heap as it gets a Region (`Config::fork`). Other threads may be in calls at the fork, which
/// waits for the longer ones. Blocks that they were about to free, or had just allocated, stay allocated in a child
/// that inherits; nothing else is lost.
///
///     faultline::Pager pager;
///     faultline::Heap heap{pager};
///     std::vector<int, faultline::allocator<int>> numbers{heap};
class FAULTLINE_API Heap {
public:
    /// Reserves the heap's addresses. Throws std::system_error: EINVAL (a value of `options` out of range), or
    /// what `Pager::reserve` throws.
    explicit Heap(Pager& pager, const HeapOptions& options = {});
    /// Drops all blocks and their pages, without reading any. While a `Pin` of the heap lives, or a call of io.hpp uses
    /// a block, the heap's memory stays until the last of them ends. Throws nothing.
    ~Heap();
    /// Takes over the heap of the other handle, which is empty afterwards.
    Heap(Heap&&) noexcept;
    /// Drops the own blocks, then takes over the heap of the other handle.
    Heap& operator=(Heap&&) noexcept;
    Heap(const Heap&) = delete;
    Heap& operator=(const Heap&) = delete;

    /// True if the handle owns a heap: it was not moved from, and not destroyed.
    explicit operator bool() const noexcept { return heap_ != nullptr; }

    /// Allocates a block of at least `bytes` bytes, aligned to 16 bytes. 0 bytes give a block, too. Throws
    /// std::bad_alloc.
    [[nodiscard]] void* allocate(std::size_t bytes);
    /// Allocates a block of at least `bytes` bytes at a multiple of `alignment`, a power of two of at most 2 MiB.
    /// Throws std::bad_alloc, also for another alignment.
    [[nodiscard]] void* allocate(std::size_t bytes, std::size_t alignment);

    /// Allocates a block of at least `bytes` bytes, aligned to 16 bytes. Returns null on failure.
    [[nodiscard]] void* try_allocate(std::size_t bytes) noexcept;
    /// Allocates a block of at least `bytes` bytes at a multiple of `alignment`, a power of two of at most 2 MiB.
    /// Returns null on failure, also for another alignment.
    [[nodiscard]] void* try_allocate(std::size_t bytes, std::size_t alignment) noexcept;

    /// Allocates a block of `count * bytes` zero bytes. Returns null on failure, or if the product overflows. In blocks
    /// of at least a page it does not touch pages that are zeros already.
    [[nodiscard]] void* try_allocate_zeroed(std::size_t count, std::size_t bytes) noexcept;

    /// Makes a block larger or smaller, and returns its new address, aligned to 16 bytes. The bytes up to the smaller
    /// size are kept. Returns null on failure, and the block stays. A null `block` allocates. A large block grows in
    /// place if the addresses behind it are free. Otherwise the heap moves its pages instead of copying them, where the
    /// delivery can, and leaves room behind them to grow into.
    [[nodiscard]] void* try_reallocate(void* block, std::size_t bytes) noexcept;

    /// Frees a block. Null does nothing.
    void deallocate(void* block) noexcept;
    /// Frees a block. `bytes`: the size that was asked for, or less.
    void deallocate(void* block, std::size_t bytes) noexcept;

    /// Returns how many bytes of a live block the program may use: at least the size that it asked for.
    [[nodiscard]] std::size_t usable_size(const void* block) const noexcept;

    /// True if the address lies in the heap's reservation.
    [[nodiscard]] bool owns(const void* address) const noexcept;

    /// Discards what is not in use: the calling thread's cached blocks, all dead pages, and the top of the heap, whose
    /// break falls. Returns the bytes of dead pages discarded.
    std::size_t trim() noexcept;

    /// Pins a range of the heap, as Region::pin does. A pinned block must not be freed or reallocated.
    [[nodiscard]] Pin pin(const void* address, std::size_t bytes, PinFor purpose = PinFor::writing);
    /// Pins the range of a span.
    [[nodiscard]] Pin pin(std::span<const std::byte> range, PinFor purpose = PinFor::writing) {
        return pin(range.data(), range.size(), purpose);
    }

    /// Gives `advice` on a range of the heap of any alignment; see `Advice`. Throws std::system_error (EINVAL) for a
    /// range outside of the heap.
    void advise(const void* address, std::size_t bytes, Advice advice);
    /// Gives `advice` on the range of a span.
    void advise(std::span<const std::byte> range, Advice advice) { advise(range.data(), range.size(), advice); }
    /// Gives `advice` on many ranges of any alignment with one call.
    void advise(std::span<const std::span<const std::byte>> ranges, Advice advice);

    /// Returns the heap's figures. Takes the locks of the size classes, one after the other.
    [[nodiscard]] HeapStats stats() const;

    /// Divides the addresses in use into `cells.size()` equal parts, and stores for each how many bytes are in which
    /// state. The addresses in use are those from the begin of the reservation to the break, then those from the lowest
    /// large block to the end. Low addresses come first. Each page is as it was at some moment of the call.
    void residency(std::span<ResidencyCell> cells) const;
    /// Does the same for the pages that a range of the heap touches, of any alignment. Throws std::system_error
    /// (EINVAL) for a range outside of the heap.
    void residency(const void* address, std::size_t bytes, std::span<ResidencyCell> cells) const;

    /// Returns a memory resource for std::pmr containers, owned by the heap. It stays valid when the handle is moved.
    [[nodiscard]] std::pmr::memory_resource* resource() const noexcept;

    /// Drops all blocks now. Throws std::system_error: EBUSY (a `Pin` on a block lives), EINVAL (the handle is empty).
    void destroy();

private:
    template <typename T>
    friend class allocator;
    /// Allocates for allocator<T>. Throws std::bad_alloc.
    [[nodiscard]] static void* allocate_in(heap::Heap& heap, std::size_t bytes, std::size_t alignment);
    /// Frees for allocator<T>.
    static void deallocate_in(heap::Heap& heap, void* block, std::size_t bytes) noexcept;

    heap::Heap* heap_ = nullptr;
};

}  // namespace v0
}  // namespace faultline
