// Size classes: the block sizes that a heap hands out, and the length of the spans they are cut from. Multiples of 16
// bytes up to 128, then four sizes in each doubling (as in jemalloc). A block is at most a quarter longer than
// requested. Arithmetic on constants: no memory, no state.
#pragma once

#include "core/units.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace faultline::heap {

using SizeClass = std::uint8_t;

/// In bytes. The length of each block is a multiple of it, and its address is aligned to it.
inline constexpr std::size_t kGranule = 16;
inline constexpr std::size_t kMostClassBytes = std::size_t{1} << 20;  ///< Bytes of the largest class.
/// The largest blocks that threads cache, in bytes. For larger ones the cost of touching pages hides that of a lock.
inline constexpr std::size_t kMostCachedBytes = std::size_t{32} << 10;
inline constexpr std::size_t kMostBlocksCached = 128;  ///< In a thread's cache, per size class.

namespace size_classes {

inline constexpr std::size_t kLinear = 8;  // 16, 32, ... 128
inline constexpr unsigned kLinearShift = 7;

/// Computes the size class without the table; `bytes` from 1 to kMostClassBytes.
constexpr SizeClass computed(std::size_t bytes) noexcept {
    if (bytes <= kLinear * kGranule) return static_cast<SizeClass>((bytes - 1) / kGranule);
    const unsigned doubling = static_cast<unsigned>(std::bit_width(bytes - 1)) - 1;  // 2^doubling < bytes
    const std::size_t quarter = (bytes - 1 - (std::size_t{1} << doubling)) >> (doubling - 2);
    return static_cast<SizeClass>(kLinear + std::size_t{doubling - kLinearShift} * 4 + quarter);
}

constexpr std::size_t bytes_computed(SizeClass size_class) noexcept {
    if (size_class < kLinear) return (size_class + 1U) * kGranule;
    const unsigned doubling = kLinearShift + static_cast<unsigned>(size_class - kLinear) / 4;
    return (std::size_t{1} << doubling) + ((size_class - kLinear) % 4 + 1) * (std::size_t{1} << (doubling - 2));
}

}  // namespace size_classes

inline constexpr std::size_t kSizeClasses = size_classes::computed(kMostClassBytes) + std::size_t{1};
inline constexpr std::size_t kCachedClasses = size_classes::computed(kMostCachedBytes) + std::size_t{1};

/// The constants of one size class.
struct ClassShape {
    std::uint32_t block_bytes = 0;
    std::uint32_t span_pages = 0;  ///< In units of kUnitBytes.
    std::uint32_t blocks = 0;      ///< Per span.
    std::uint32_t cached = 0;      ///< Free blocks in a thread's cache, at most.
    /// ceil(2^40 / granules of a block): see `block_index`.
    std::uint64_t reciprocal = 0;
};

namespace size_classes {

constexpr ClassShape shape_of(SizeClass size_class) noexcept {
    // Long enough that the rest at the end wastes less than a sixteenth where blocks are small. Where they are large,
    // long enough for a few blocks. Short enough that a few surviving blocks do not hold much memory.
    constexpr std::size_t kLeastSpan = std::size_t{64} << 10;
    constexpr std::size_t kLeastBlocks = 8;
    constexpr std::size_t kCachedBytes = std::size_t{32} << 10;
    const std::size_t bytes = bytes_computed(size_class);
    const std::size_t span = core::align_up(std::max(kLeastSpan, kLeastBlocks * bytes), core::kUnitBytes);
    ClassShape shape;
    shape.block_bytes = static_cast<std::uint32_t>(bytes);
    shape.span_pages = static_cast<std::uint32_t>(span >> core::kUnitShift);
    shape.blocks = static_cast<std::uint32_t>(span / bytes);
    shape.cached =
        bytes > kMostCachedBytes
            ? 0
            : static_cast<std::uint32_t>(std::clamp<std::size_t>(kCachedBytes / bytes, 4, kMostBlocksCached));
    const std::uint64_t granules = bytes / kGranule;
    shape.reciprocal = ((std::uint64_t{1} << 40) + granules - 1) / granules;
    return shape;
}

constexpr auto make_shapes() noexcept {
    std::array<ClassShape, kSizeClasses> shapes{};
    for (std::size_t i = 0; i < kSizeClasses; ++i) shapes[i] = shape_of(static_cast<SizeClass>(i));
    return shapes;
}

inline constexpr std::size_t kTableBytes = 1024;
constexpr auto make_table() noexcept {
    std::array<SizeClass, kTableBytes / kGranule + 1> table{};
    for (std::size_t i = 1; i < table.size(); ++i) table[i] = computed(i * kGranule);
    return table;
}

inline constexpr auto kShapes = make_shapes();
inline constexpr auto kSmallTable = make_table();  // [0]: 0 bytes get a block of the smallest class

}  // namespace size_classes

/// Returns the smallest class whose blocks hold `bytes` (at most kMostClassBytes).
constexpr SizeClass class_of(std::size_t bytes) noexcept {
    if (bytes <= size_classes::kTableBytes) [[likely]] {
        return size_classes::kSmallTable[(bytes + kGranule - 1) / kGranule];
    }
    return size_classes::computed(bytes);
}

constexpr const ClassShape& shape(SizeClass size_class) noexcept { return size_classes::kShapes[size_class]; }

/// Returns the block of a span that holds the byte at `offset` in it: offset / block_bytes, without a division. Exact:
/// the reciprocal's rounding error is less than 2^16, times fewer than 2^19 granules of a span it stays below 2^40.
constexpr std::uint64_t block_index(std::uint64_t offset, std::uint64_t reciprocal) noexcept {
    return (offset / kGranule * reciprocal) >> 40;
}
static_assert(shape(static_cast<SizeClass>(kSizeClasses - 1)).span_pages * core::kUnitBytes / kGranule <= 1U << 19);

/// Returns the class for a block at a multiple of `alignment` (a power of two, at most a page); kSizeClasses if none is
/// large enough.
constexpr std::size_t class_of_aligned(std::size_t bytes, std::size_t alignment) noexcept {
    const std::size_t wanted = core::align_up(std::max(bytes, std::size_t{1}), alignment);
    if (wanted > kMostClassBytes) return kSizeClasses;
    std::size_t found = class_of(wanted);
    while (found < kSizeClasses && shape(static_cast<SizeClass>(found)).block_bytes % alignment != 0) ++found;
    return found;
}

}  // namespace faultline::heap
