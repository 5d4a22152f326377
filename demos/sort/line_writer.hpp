// LineWriter: writes lines in sorted order, though the text is in another order. sort_file calls it.
//
// Written one by one, each line would cost a jump through the text and a fault. Instead, it takes as many lines as the
// buffer holds, copies them to their places in the order of the text, in one sweep, and writes the buffer.
#pragma once

#include "sort/progress.hpp"
#include "sort/text.hpp"
#include "sort/visits.hpp"
#include "support/files.hpp"

#include <faultline/pager.hpp>
#include <faultline/pin.hpp>
#include <faultline/region.hpp>

#include <cstddef>
#include <span>

namespace faultline::demo::sort {

/// Used by one thread.
class LineWriter {
public:
    LineWriter(Pager& pager, RegionOptions options, Text& text, OutputFile& output, std::size_t window,
               Progress& progress);

    /// Writes all lines, each with a newline.
    void write();

private:
    void write_buffer();
    void write_from_text(std::span<std::byte> bytes);

    Text& text_;
    OutputFile& output_;
    std::size_t window_;
    Progress& progress_;
    Region buffer_;
    Pin buffer_pin_;  // each sweep rewrites the whole buffer, so evicting it would be wasted
    Visits visits_;
    std::size_t used_ = 0;  // bytes used in the buffer
};

}  // namespace faultline::demo::sort
