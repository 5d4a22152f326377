// Lines as they are sorted: 16 bytes each, so that little memory moves, with the bytes that decide most comparisons.
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
    std::uint64_t key = 0;    ///< Eight of its bytes, the first one on top, zeros behind its end.
    std::uint64_t place = 0;  ///< Its offset in the text (40 bits, on top) and its length (24 bits; see `LineLengths`).
};

inline constexpr unsigned kLengthBits = 24;
inline constexpr std::uint64_t kLongLine = (std::uint64_t{1} << kLengthBits) - 1;  // this length or more
inline constexpr std::uint64_t kLargestText = std::uint64_t{1} << (64 - kLengthBits);
inline constexpr std::uint64_t kKeyBytes = 8;

/// Packs and unpacks `Line::place`. Lines of 16 MiB and more are rare, but exist: their lengths are kept aside.
class LineLengths {
public:
    /// To be called for the lines in the order of the text.
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

    std::vector<LongLine> long_lines_;  // by offset
};

/// The first up to eight of `bytes` bytes at `text` as a number that compares as memcmp would.
[[nodiscard]] inline std::uint64_t key_of(const std::byte* text, std::uint64_t bytes) noexcept {
    std::uint64_t key = 0;
    // Not more than the line has: the next byte may lie on another page, and cost a fault.
    std::memcpy(&key, text, static_cast<std::size_t>(std::min(bytes, kKeyBytes)));
    if constexpr (std::endian::native == std::endian::little) key = __builtin_bswap64(key);
    return key;
}

}  // namespace faultline::demo::sort
