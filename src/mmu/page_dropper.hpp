// PageDropper: drops scattered pages of this process with one system call, where the kernel can do that
// (process_madvise(2), Linux 6.13), else range by range.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/file_descriptor.hpp"

#include <sys/uio.h>

#include <span>

namespace faultline::mmu {

class PageDropper {
public:
    /// Tests what the kernel can do, on a scratch page. Throws std::system_error.
    PageDropper();

    /// In a child of fork, where the descriptor is the parent's: opens one of its own.
    void start_in_child() noexcept {
        if (self_) open();
    }

    /// Frees the frames of private mappings. Ends the process on failure. Signal-safe.
    void drop(std::span<const iovec> ranges) const FAULTLINE_SIGNAL_SAFE;

private:
    void open() noexcept;

    sys::FileDescriptor self_;  // a pidfd of this process; empty unless the kernel drops scattered pages in one call
};

}  // namespace faultline::mmu
