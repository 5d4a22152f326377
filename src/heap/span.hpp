// Span: the record of one run of pages in use: either cut into blocks of one size class, or one large block. It is
// outside managed memory, and reads or writes no block. Each free reads the first cache line, which is seldom written.
// The lock of the shard's size class guards the rest.
#pragma once

#include "core/page_range.hpp"
#include "core/units.hpp"
#include "heap/shard.hpp"
#include "heap/size_classes.hpp"

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::heap {

/// A block's mark: kLive while the program owns the block; kNotLive while it is free in a span, a batch or a thread's
/// cache.
using Mark = std::atomic<std::uint8_t>;
inline constexpr std::uint8_t kNotLive = 0;
inline constexpr std::uint8_t kLive = 1;

/// A free block outside its span.
struct FreeBlock {
    std::byte* block = nullptr;
    Mark* mark = nullptr;
};

enum class SpanKind : std::uint8_t { none, blocks, large };

/// Young: among the last spans of its class. New blocks come from young spans first, so that blocks of one age share
/// pages.
enum class SpanAge : std::uint8_t { young, old };

/// Hooks without unlinking on destruction: the records of a destroyed heap are unmapped as a whole.
using Unchecked = boost::intrusive::link_mode<boost::intrusive::normal_link>;

struct alignas(64) Span {
    // Read by each free. Constant once the first block is handed out.
    std::uint64_t begin = 0;  ///< Offset in the reservation, in bytes.
    Mark* marks = nullptr;    ///< One for each block, and one that is never live for the rest at the end of the span.
    std::uint64_t reciprocal = 0;   ///< For block_index.
    std::uint32_t block_bytes = 0;  ///< 0 for a large block.
    SpanKind kind = SpanKind::none;
    SpanAge age = SpanAge::young;
    SizeClass size_class = 0;
    std::uint8_t cached = 0;  ///< Blocks of its class that a thread caches, at most; 0 for a large block.
    /// The shard that owns it. Changes rarely, with the locks of both shards' classes held: see CentralSpans::adopt.
    std::atomic<Shard> shard{0};

    // Guarded by the lock of the shard's size class; for a large block, by HeapPages' lock.
    alignas(64) std::uint32_t blocks = 0;
    std::uint32_t free_blocks = 0;       ///< = number of set bits in free_bits.
    std::uint64_t* free_bits = nullptr;  ///< One bit per block: set while the block is in the span.
    std::uint16_t* used = nullptr;       ///< Per page: how many blocks on it are not in the span.
    core::PageRange pages{};             ///< In the reservation.
    std::uint64_t reserved = 0;  ///< Of a large block: pages from pages.first on that it holds or may grow into.
    Mark own_mark{kNotLive};     ///< The mark of a large block.
    std::uint8_t list = 0;       ///< The list of its class that holds it; see ClassSpans.

    boost::intrusive::list_member_hook<Unchecked> in_list;    ///< In a list of its class.
    boost::intrusive::set_member_hook<Unchecked> by_address;  ///< Among large blocks.

    /// Returns the bytes of a block of the span that the program may use.
    [[nodiscard]] std::size_t usable_bytes() const noexcept {
        return kind == SpanKind::large ? pages.count << core::kUnitShift : block_bytes;
    }

    /// The block that contains an offset, and whether it begins exactly there.
    struct Position {
        std::uint64_t index;
        bool is_begin;
    };
    [[nodiscard]] Position position_of(std::uint64_t offset) const noexcept {
        const std::uint64_t inside = offset - begin;
        const std::uint64_t index = block_index(inside, reciprocal);
        return {index, index * block_bytes == inside};
    }
    /// Returns the pages of the block that begins at byte `inside` of the span, counted from the span's first page.
    [[nodiscard]] core::PageRange pages_of(std::uint64_t inside) const noexcept {
        const std::uint64_t first = inside >> core::kUnitShift;
        const std::uint64_t last = (inside + block_bytes - 1) >> core::kUnitShift;
        return {first, last - first + 1};
    }
};

}  // namespace faultline::heap
