// Text: a file's bytes in managed memory, and its lines in a managed array. sort_file reads it; LineSorter sorts it.
#pragma once

#include "sort/lines.hpp"
#include "sort/managed_array.hpp"
#include "sort/progress.hpp"
#include "support/files.hpp"

#include <faultline/pager.hpp>
#include <faultline/region.hpp>

#include <cstddef>
#include <cstdint>

namespace faultline::demo::sort {

struct Text {
    Region region;           ///< The bytes; a newline follows every line, also the last.
    std::uint64_t size = 0;  ///< Bytes in use, with that newline.
    ManagedArray<Line> lines;
    LineLengths lengths;

    [[nodiscard]] std::byte* at(std::uint64_t offset) const noexcept { return region.data() + offset; }
};

/// The room that a file needs, from a first reading.
struct TextSize {
    std::uint64_t bytes = 0;
    std::uint64_t lines = 0;
};

/// Reads the file once to learn its size. That is cheaper than to grow arrays, or to visit the text again for its lines
/// after most of it was swapped out. Rewinds the file.
[[nodiscard]] TextSize measure(InputFile& input, Progress& progress);

/// Reads the file directly into managed memory, in pinned windows of `window` bytes, and finds its lines. Throws
/// std::system_error: EBUSY if the file's size has changed since `measure`.
[[nodiscard]] Text load(Pager& pager, RegionOptions options, InputFile& input, const TextSize& size, std::size_t window,
                        Progress& progress);

}  // namespace faultline::demo::sort
