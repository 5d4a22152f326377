// One inaccessible page: touching it raises SIGSEGV, which a test's resolver answers by opening the page.
#pragma once

#include "support/variants.hpp"

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

namespace faultline::test {

/// Each thread has its own.
class ClosedPage {
public:
    ClosedPage()
        : page_{static_cast<std::byte*>(
              ::mmap(nullptr, kBasePageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))} {}
    ~ClosedPage() { ::munmap(page_, kBasePageBytes); }
    ClosedPage(const ClosedPage&) = delete;
    ClosedPage& operator=(const ClosedPage&) = delete;
    [[nodiscard]] std::byte* begin() const noexcept { return page_; }
    void close() const noexcept { ::mprotect(page_, kBasePageBytes, PROT_NONE); }

private:
    std::byte* page_;
};

inline void open_page_at(std::uintptr_t address) noexcept {
    void* const page = reinterpret_cast<void*>(address & ~(kBasePageBytes - 1));  // NOLINT
    ::mprotect(page, kBasePageBytes, PROT_READ | PROT_WRITE);
}

}  // namespace faultline::test
