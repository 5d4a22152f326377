// Span: what the heap knows of one run of pages in use: either cut into blocks of one size class, or one large block.
// A record outside managed memory: nothing here reads or writes a block. The first cache line is what each free looks
// at, and seldom written; the rest belongs to whoever holds the size class's lock.
#pragma once

#include "core/page_range.hpp"
#include "core/units.hpp"
#include "heap/size_classes.hpp"

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::heap {

/// A block's mark says whether the program has it: not when it is free in its span, or kept by a thread.
using Mark = std::atomic<std::uint8_t>;
inline constexpr std::uint8_t kNotLive = 0;
inline constexpr std::uint8_t kLive = 1;

/// A free block on its way between a span and a thread.
struct FreeBlock {
    std::byte* block = nullptr;
    Mark* mark = nullptr;
};

enum class SpanKind : std::uint8_t { none, blocks, large };

/// What is younger shares pages with what is younger.
enum class SpanAge : std::uint8_t { young, old };

/// Hooks that need no unlinking: records of a heap that is dropped go with their memory, without a look at each.
using Unchecked = boost::intrusive::link_mode<boost::intrusive::normal_link>;

struct alignas(64) Span {
    // What a free looks at. Constant from before the first block is handed out.
    std::uint64_t begin = 0;        ///< Offset in the reservation, in bytes.
    Mark* marks = nullptr;          ///< Of each block, and one that is never live for what is left at the end.
    std::uint64_t reciprocal = 0;   ///< For block_index.
    std::uint32_t block_bytes = 0;  ///< 0 for a large block.
    SpanKind kind = SpanKind::none;
    SpanAge age = SpanAge::young;
    SizeClass size_class = 0;
    std::uint8_t cached = 0;  ///< How many of its class a thread keeps; 0: none, as of large blocks.

    // Under the lock of the size class; for a large block, of the heap's pages.
    alignas(64) std::uint32_t blocks = 0;
    std::uint32_t free_blocks = 0;       ///< = number of set bits in free_bits.
    std::uint64_t* free_bits = nullptr;  ///< A bit for each block that is in the span, and with no thread.
    std::uint16_t* used = nullptr;       ///< For each page, how many blocks on it are not in the span.
    core::PageRange pages{};             ///< In the reservation.
    std::uint64_t reserved = 0;          ///< Pages from pages.first on that are kept for a large block to grow into.
    Mark own_mark{kNotLive};             ///< A large block's.
    std::uint8_t shelf = 0;              ///< Which list of its class it is in; see ClassSpans.

    boost::intrusive::list_member_hook<Unchecked> on_shelf;   ///< Of its class.
    boost::intrusive::set_member_hook<Unchecked> by_address;  ///< Among large blocks.

    /// Where a block at `offset` in the reservation would be: its index, if one begins there.
    struct Place {
        std::uint64_t index;
        bool begins_there;
    };
    [[nodiscard]] Place place_of(std::uint64_t offset) const noexcept {
        const std::uint64_t inside = offset - begin;
        const std::uint64_t index = block_index(inside, reciprocal);
        return {index, index * block_bytes == inside};
    }
    /// The pages that the block lies on that begins at byte `inside` of the span, counted from the span's first.
    [[nodiscard]] core::PageRange pages_of(std::uint64_t inside) const noexcept {
        const std::uint64_t first = inside >> core::kUnitShift;
        const std::uint64_t last = (inside + block_bytes - 1) >> core::kUnitShift;
        return {first, last - first + 1};
    }
};

}  // namespace faultline::heap
