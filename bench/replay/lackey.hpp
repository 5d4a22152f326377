// Reads what `valgrind --tool=lackey --trace-mem=yes PROGRAM` prints on standard error, and converts it to page
// references. Consecutive references to one page become one, a write if any of them was. A pager cannot tell them
// apart, and a program makes hundreds of references before it accesses another page.
#pragma once

#include "replay/reference.hpp"

#include <cstdint>
#include <functional>
#include <iosfwd>

namespace bench {

struct LackeyImport {
    std::uint64_t accesses = 0;    ///< Lines with an access.
    std::uint64_t references = 0;  ///< References made of them.
    std::uint64_t skipped_lines =
        0;  ///< Lines that are neither lackey's nor valgrind's: the traced program's own output.
};

enum class Instructions : std::uint8_t {
    leave_out,  ///< Loads, stores and modifications only, as a region of data sees them.
    include,    ///< Also instruction fetches.
};

/// Imports a trace. `page_bytes` is a power of two. Throws std::runtime_error if reading fails or no access is found,
/// and what `sink` throws.
LackeyImport import_lackey(std::istream& text, std::uint32_t page_bytes, Instructions instructions,
                           const std::function<void(PageReference)>& sink);

}  // namespace bench
