// Reference and trace: which pages a program touched, in order, and whether it wrote to them. A trace has no times, no
// threads and no offsets in pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench {

struct PageReference {
    std::uint64_t page = 0;  ///< The address divided by the trace's page size.
    bool write = false;

    friend bool operator==(const PageReference&, const PageReference&) noexcept = default;
};

struct Trace {
    std::uint32_t page_bytes = 4096;
    std::vector<PageReference> references;
    std::uint64_t lost = 0;  ///< References that are missing, because the recorder's buffer was full.
};

}  // namespace bench
