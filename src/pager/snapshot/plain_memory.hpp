// PlainMemory: gives a child of fork all bytes of its parent's regions as ordinary memory, without a pager and without
// a limit. For children that cannot have a pager of their own: a seccomp filter forbids userfaultfd(2) or new swap
// files, or the swap directory is gone.
//
// The child has copies of the resident pages (KeptPages) and reads the others from its parent's store. The parent waits
// meanwhile, because it would reuse their slots.
#pragma once

#include "core/page_word.hpp"
#include "pager/core.hpp"
#include "sys/file_descriptor.hpp"

#include <cstdint>

namespace faultline::pager {

/// Control path, around fork, with the locks that ForkSnapshot takes, at a standstill.
class PlainMemory {
public:
    explicit PlainMemory(PagerCore& core) noexcept : core_{core} {}

    /// Before fork: prepares for the wait. Returns false if that is not possible.
    [[nodiscard]] bool prepare() noexcept;

    /// In the parent after fork: waits until the child has its bytes, or has ended.
    void wait_for_child() noexcept;

    /// In the child: reads the pages that are only in the store. Throws std::system_error: then the child must end.
    void fill();

private:
    void fill(const Region& region) const;
    void fill_page(const Region& region, std::uint64_t page, core::PageWord seen) const;

    PagerCore& core_;
    // A pipe through which nothing goes: its end of file tells the parent. Empty if the store holds no pages.
    sys::FileDescriptor read_end_;
    sys::FileDescriptor write_end_;
};

}  // namespace faultline::pager
