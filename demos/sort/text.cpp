#include "sort/text.hpp"

#include "sort/lines.hpp"
#include "sort/pinning.hpp"
#include "sort/progress.hpp"
#include "support/files.hpp"

#include <faultline/pager.hpp>
#include <faultline/region.hpp>
#include <faultline/types.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

namespace faultline::demo::sort {
namespace {

[[noreturn]] void throw_changed(const InputFile& input) {
    throw std::system_error(EBUSY, std::generic_category(),
                            "'" + input.path().string() + "' changed while it was read");
}

/// Fills a Text from its file. One use.
class Loader {
public:
    Loader(Pager& pager, RegionOptions options, InputFile& input, const TextSize& size)
        : input_{input},
          bytes_{static_cast<std::size_t>(size.bytes)},
          // One byte more, for a newline that the last line may lack.
          text_{pager.reserve(bytes_ + 1, options), 0, {pager, options, static_cast<std::size_t>(size.lines)}, {}} {}

    Text load(std::size_t window, Progress& progress) {
        const std::span all = text_.region.bytes().first(bytes_);
        for_each_pinned_window(text_.region, all, window, PinFor::writing, [&](std::span<std::byte> part) {
            read_whole(part);
            find_lines(part);
            progress.advance(part.size());
        });
        std::byte extra{};
        if (input_.read({&extra, 1}) != 0) throw_changed(input_);
        text_.size = bytes_;
        if (line_begin_ < bytes_) end_last_line();
        return std::move(text_);
    }

private:
    void read_whole(std::span<std::byte> part) {
        while (!part.empty()) {
            const std::size_t got = input_.read(part);
            if (got == 0) throw_changed(input_);
            part = part.subspan(got);
        }
    }

    /// Finds the lines of a window while it is still in memory.
    void find_lines(std::span<const std::byte> part) {
        while (!part.empty()) {
            const void* const newline = std::memchr(part.data(), '\n', part.size());
            if (newline == nullptr) return;
            const auto* const end = static_cast<const std::byte*>(newline);
            add_line(static_cast<std::size_t>(end - text_.region.data()));
            part = part.subspan(static_cast<std::size_t>(end - part.data()) + 1);
        }
    }

    void add_line(std::size_t end) {
        if (text_.lines.full()) throw_changed(input_);
        const std::size_t length = end - line_begin_;
        text_.lines.push_back({key_of(text_.at(line_begin_), length), text_.lengths.pack(line_begin_, length)});
        line_begin_ = end + 1;
    }

    void end_last_line() {
        *text_.at(bytes_) = std::byte{'\n'};
        add_line(bytes_);
        text_.size = bytes_ + 1;
    }

    InputFile& input_;
    std::size_t bytes_;
    std::size_t line_begin_ = 0;
    Text text_;
};

}  // namespace

TextSize measure(InputFile& input, Progress& progress) {
    progress.begin("count", input.size());
    std::vector<std::byte> buffer(std::size_t{256} << 10);  // unmanaged memory
    TextSize size;
    auto last = std::byte{'\n'};
    while (const std::size_t got = input.read(buffer)) {
        const std::span part = std::span{buffer}.first(got);
        size.bytes += got;
        size.lines += static_cast<std::uint64_t>(std::ranges::count(part, std::byte{'\n'}));
        last = part.back();
        progress.advance(got);
    }
    if (last != std::byte{'\n'}) ++size.lines;
    if (size.bytes >= kLargestText) {
        throw std::system_error(EFBIG, std::generic_category(), "'" + input.path().string() + "' is 1 TiB or more");
    }
    input.rewind();
    return size;
}

Text load(Pager& pager, RegionOptions options, InputFile& input, const TextSize& size, std::size_t window,
          Progress& progress) {
    progress.begin("load", size.bytes);
    return Loader{pager, options, input, size}.load(window, progress);
}

}  // namespace faultline::demo::sort
