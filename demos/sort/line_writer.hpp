// LineWriter: writes lines in their sorted order, though the text lies in another one.
//
// Line by line, that is a jump through the text and a fault for each. Instead as many lines as a buffer holds are
// copied to their places in it in the order of the text, in one sweep, and the buffer is written whole.
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
    Pin buffer_pin_;  // written all over in each sweep, and then by a system call: there is no time to swap it out
    Visits visits_;
    std::size_t used_ = 0;  // of the buffer, in bytes
};

}  // namespace faultline::demo::sort
