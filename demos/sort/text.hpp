// Text: a file's bytes in managed memory, and its lines in a managed array.
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
    Region region;           ///< The bytes; every line is followed by a newline, the last one too.
    std::uint64_t size = 0;  ///< Bytes in use, that newline included.
    ManagedArray<Line> lines;
    LineLengths lengths;

    [[nodiscard]] std::byte* at(std::uint64_t offset) const noexcept { return region.data() + offset; }
};

/// What a first reading tells: how much room is needed.
struct TextSize {
    std::uint64_t bytes = 0;
    std::uint64_t lines = 0;
};

/// Reads the file once to learn its size. Cheaper than to grow arrays, or to visit the text again for its lines when
/// most of it has been swapped out. Leaves the file at its beginning.
[[nodiscard]] TextSize measure(InputFile& input, Progress& progress);

/// Reads the file, straight into managed memory by pinned windows of `window` bytes, and finds its lines. Throws
/// std::system_error with EBUSY when it has another size than was measured.
[[nodiscard]] Text load(Pager& pager, RegionOptions options, InputFile& input, const TextSize& size, std::size_t window,
                        Progress& progress);

}  // namespace faultline::demo::sort
