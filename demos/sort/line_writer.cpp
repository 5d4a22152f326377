#include "sort/line_writer.hpp"

#include "sort/lines.hpp"
#include "sort/pinning.hpp"
#include "sort/progress.hpp"
#include "sort/text.hpp"
#include "sort/visits.hpp"
#include "support/files.hpp"
#include "support/interrupt.hpp"

#include <faultline/pager.hpp>
#include <faultline/region.hpp>
#include <faultline/types.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace faultline::demo::sort {

LineWriter::LineWriter(Pager& pager, RegionOptions options, Text& text, OutputFile& output, std::size_t window,
                       Progress& progress)
    : text_{text},
      output_{output},
      window_{window},
      progress_{progress},
      buffer_{pager.reserve(pinnable_bytes(pager, options.page_size), options)},
      buffer_pin_{buffer_.pin(buffer_.data(), buffer_.size())},
      visits_{pager, options} {}

void LineWriter::write() {
    progress_.begin("write", text_.size);
    for (const Line& line : text_.lines) {
        const auto bytes = static_cast<std::size_t>(text_.lengths.length(line.place)) + 1;  // with its newline
        if (visits_.full() || bytes > buffer_.size() - used_) write_buffer();
        if (bytes > buffer_.size()) {
            write_from_text({text_.at(LineLengths::offset(line.place)), bytes});
            continue;
        }
        visits_.add(line.place, used_);
        used_ += bytes;
    }
    write_buffer();
}

void LineWriter::write_buffer() {
    visits_.make([this](std::uint64_t place, std::uint64_t position) {
        throw_if_interrupted();
        const auto bytes = static_cast<std::size_t>(text_.lengths.length(place)) + 1;
        std::memcpy(buffer_.data() + position, text_.at(LineLengths::offset(place)), bytes);
    });
    output_.write(buffer_.bytes().first(used_));
    progress_.advance(used_);
    used_ = 0;
}

/// Writes a line that is too long for the buffer directly from the text.
void LineWriter::write_from_text(std::span<std::byte> bytes) {
    for_each_pinned_window(text_.region, bytes, window_, PinFor::reading, [&](std::span<std::byte> part) {
        output_.write(part);
        progress_.advance(part.size());
    });
}

}  // namespace faultline::demo::sort
