// Line: a line as it is sorted, in 16 bytes, so that sorting moves little memory. It holds the eight bytes that decide
// most comparisons. LineSorter sorts these, LineWriter writes the lines.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace faultline::demo::sort {

/// A line of the text, without its newline.
struct Line {
    std::uint64_t key = 0;    ///< Eight of its bytes, the first one most significant; zeros behind the line's end.
    std::uint64_t place = 0;  ///< Its offset in the text (upper 40 bits) and its length (24 bits; see `LineLengths`).
};

inline constexpr unsigned kLengthBits = 24;
inline constexpr std::uint64_t kLongLine = (std::uint64_t{1} << kLengthBits) - 1;  // stands for this length or more
inline constexpr std::uint64_t kLargestText = std::uint64_t{1} << (64 - kLengthBits);
inline constexpr std::uint64_t kKeyBytes = 8;

/// Packs and unpacks `Line::place`. Lines of 16 MiB and more are rare; their lengths are stored separately.
class LineLengths {
public:
    /// Packs a line. Call it for the lines in the order of the text.
    [[nodiscard]] std::uint64_t pack(std::uint64_t offset, std::uint64_t length) {
        if (length >= kLongLine) long_lines_.push_back({offset, length});
        return offset << kLengthBits | std::min(length, kLongLine);
    }

    [[nodiscard]] static std::uint64_t offset(std::uint64_t place) noexcept { return place >> kLengthBits; }

    [[nodiscard]] std::uint64_t length(std::uint64_t place) const noexcept {
        const std::uint64_t length = place & kLongLine;
        if (length != kLongLine) return length;
        return std::ranges::lower_bound(long_lines_, offset(place), {}, &LongLine::offset)->length;
    }

private:
    struct LongLine {
        std::uint64_t offset = 0;
        std::uint64_t length = 0;
    };

    std::vector<LongLine> long_lines_;  // sorted by offset
};

/// Returns up to eight of the `bytes` bytes at `text` as a number that compares as memcmp does.
[[nodiscard]] inline std::uint64_t key_of(const std::byte* text, std::uint64_t bytes) noexcept {
    std::uint64_t key = 0;
    // Only the line's own bytes: the next byte may lie on another page and cost a fault.
    std::memcpy(&key, text, static_cast<std::size_t>(std::min(bytes, kKeyBytes)));
    if constexpr (std::endian::native == std::endian::little) key = __builtin_bswap64(key);
    return key;
}

}  // namespace faultline::demo::sort
