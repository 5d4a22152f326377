// The file of stack samples, version 1: a header, then blocks, each written by one call that appends it. Processes
// append to the same file in any order. docs/record-format.md describes it; all numbers are little-endian.
//
//   header  8 magic: 89 46 4c 53 54 41 43 4b, which is "\x89" "FLSTACK"; 4 version; 4 zeros
//   block   4 kind; 4 bytes in the file; 4 bytes when expanded; 4 zeros; 8 session; 8 checksum; then the bytes
//
// A session is one process from its start, exec or fork on. Bytes that are fewer than when expanded are one LZ4 block.
// The checksum is the XXH3 of the block's first 24 bytes and of the bytes in the file.
#pragma once

#include "trace/trace_format.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::trace {

inline constexpr std::array<unsigned char, 8> kStackMagic{0x89, 'F', 'L', 'S', 'T', 'A', 'C', 'K'};
inline constexpr std::uint32_t kStackVersion = 1;
inline constexpr std::size_t kStackHeaderBytes = 16;
inline constexpr std::size_t kBlockHeaderBytes = 32;
inline constexpr std::size_t kChecksummedBlockHeaderBytes = 24;
/// The largest block, expanded: a reader refuses larger ones before it makes room for them.
inline constexpr std::size_t kMostBlockBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMostSampledStack = std::size_t{64} << 10;
inline constexpr std::size_t kMostBuildIdBytes = 64;

enum class BlockKind : std::uint32_t {
    process = 1,  ///< Once for each session, before its other blocks.
    maps = 2,     ///< The mappings of files; a later block replaces an earlier one.
    samples = 3,
    totals = 4,  ///< A later block replaces an earlier one.
};

/// Bits of a mapping in a block of maps, and of a sample.
inline constexpr unsigned kMapExecutable = 1;
inline constexpr unsigned kSampleWrite = 1;
inline constexpr unsigned kSampleAsked = 2;

}  // namespace faultline::trace
