// The trace file, version 3. All numbers are little-endian; docs/trace-format.md has an example.
//
//   offset  bytes
//        0      8  magic: 89 46 4c 54 52 41 43 45, which is "\x89" "FLTRACE"
//        8      4  version: 3
//       12      4  page size in bytes, a power of two
//       16      8  number of records; all bits set until the writer has finished
//       24      8  number of references that were lost because the writer had no room for them
//       32      8  checksum: XXH3, 64 bits, of all records and then of bytes 0 to 31
//       40         records, to the end of the file
//
//   record = varint( zigzag(page - page of the record before) << 1 | write ); the page before the first is 0
//   varint = 7 bits per byte, lowest first, the top bit set in all bytes but the last; at most 10 bytes
//   zigzag = 0, -1, 1, -2, 2, ... become 0, 1, 2, 3, 4, ...
//
// A page number is below 2^62, so every record fits 64 bits. A reference close to the one before takes one byte.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::trace {

inline constexpr std::array<unsigned char, 8> kTraceMagic{0x89, 'F', 'L', 'T', 'R', 'A', 'C', 'E'};
inline constexpr std::uint32_t kTraceVersion = 3;
inline constexpr std::uint64_t kUnfinishedTrace = ~std::uint64_t{0};
inline constexpr std::size_t kTraceHeaderBytes = 40;
inline constexpr std::size_t kChecksummedHeaderBytes = 32;
inline constexpr std::size_t kLongestRecord = 10;
inline constexpr std::uint64_t kMostPages = std::uint64_t{1} << 62;

using TraceHeader = std::array<unsigned char, kTraceHeaderBytes>;

/// Stores the low `bytes` bytes of `value` at `to`.
inline void store_little_endian(unsigned char* to, std::uint64_t value, std::size_t bytes) noexcept {
    for (std::size_t i = 0; i < bytes; ++i) to[i] = static_cast<unsigned char>(value >> (8 * i));
}

[[nodiscard]] inline std::uint64_t load_little_endian(const unsigned char* from, std::size_t bytes) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value |= std::uint64_t{from[i]} << (8 * i);
    return value;
}

[[nodiscard]] constexpr std::uint64_t zigzag(std::int64_t difference) noexcept {
    const auto bits = static_cast<std::uint64_t>(difference);
    return bits << 1 ^ (difference < 0 ? ~std::uint64_t{0} : 0);
}

[[nodiscard]] constexpr std::int64_t unzigzag(std::uint64_t code) noexcept {
    return static_cast<std::int64_t>(code >> 1 ^ ((code & 1) != 0 ? ~std::uint64_t{0} : 0));
}

/// Writes `value` as a varint to `to`, which has room for kLongestRecord bytes. Returns the number of bytes written.
inline std::size_t encode_varint(std::uint64_t value, unsigned char* to) noexcept {
    std::size_t length = 0;
    for (; value >= 0x80; value >>= 7) to[length++] = static_cast<unsigned char>(value | 0x80);
    to[length++] = static_cast<unsigned char>(value);
    return length;
}

}  // namespace faultline::trace
