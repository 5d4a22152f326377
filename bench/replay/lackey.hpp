// Reads what `valgrind --tool=lackey --trace-mem=yes PROGRAM` prints on standard error, and makes page references of
// it. Consecutive references to one page become one, a write if any of them was: a pager cannot tell them apart, and a
// program makes hundreds of references before it goes to another page.
#pragma once

#include "replay/reference.hpp"

#include <cstdint>
#include <functional>
#include <iosfwd>

namespace bench {

struct LackeyImport {
    std::uint64_t accesses = 0;       ///< Lines that named an access.
    std::uint64_t references = 0;     ///< What became of them.
    std::uint64_t skipped_lines = 0;  ///< Not lackey's, and not valgrind's own: what the traced program printed itself.
};

enum class Instructions : std::uint8_t {
    leave_out,  ///< Loads, stores and modifications alone: what a region of data would see.
    include,    ///< Instruction fetches, too.
};

/// `page_bytes` is a power of two. Throws std::runtime_error when reading fails or no access is found, and whatever
/// `sink` throws.
LackeyImport import_lackey(std::istream& text, std::uint32_t page_bytes, Instructions instructions,
                           const std::function<void(PageReference)>& sink);

}  // namespace bench
