#include "pager/snapshot/plain_memory.hpp"

#include "pager/region/region.hpp"
#include "pager/snapshot/require_set.hpp"
#include "store/read_rings.hpp"
#include "sys/error.hpp"
#include "sys/syscall.hpp"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

namespace faultline::pager {

using core::PageState;
using core::PageWord;

bool PlainMemory::prepare() noexcept {
    if (!core_.stores->holds_pages()) return true;
    std::array<int, 2> ends{};
    if (sys::raw_syscall(SYS_pipe2, sys::syscall_argument(ends.data()), O_CLOEXEC) != 0) return false;
    read_end_ = sys::FileDescriptor{ends[0]};
    write_end_ = sys::FileDescriptor{ends[1]};
    return true;
}

void PlainMemory::wait_for_child() noexcept {
    write_end_.reset();
    if (!read_end_) return;
    char nothing = 0;
    while (sys::raw_syscall(SYS_read, read_end_.get(), sys::syscall_argument(&nothing), 1) == -EINTR) {
    }
    read_end_.reset();
}

void PlainMemory::fill() {
    core_.regions.for_each([this](const Region& region) { fill(region); });
    read_end_.reset();
    write_end_.reset();
}

void PlainMemory::fill(const Region& region) const {
    region.table().for_each_touched({0, region.pages()}, [&](std::uint64_t page) {
        const PageWord seen = region.load(page);
        const bool absent = seen.is(PageState::stored) || seen.is(PageState::staged) || seen.is(PageState::poisoned);
        if (!absent) return;
        std::byte* const address = region.address_of(page);
        const std::size_t bytes = region.page_bytes();
        const Access access = region.access_to(page, seen);
        if (access != Access::read_write) require_set(region.mapper().set_access(address, bytes, Access::read_write));
        fill_page(region, page, seen);
        if (access != Access::read_write) require_set(region.mapper().set_access(address, bytes, access));
    });
}

/// The page is accessible. What the parent could not read is read again here.
void PlainMemory::fill_page(const Region& region, std::uint64_t page, PageWord seen) const {
    const std::span<std::byte> bytes{region.address_of(page), region.page_bytes()};
    if (seen.is(PageState::staged)) {
        std::memcpy(bytes.data(), core_.staging.address_of(seen.payload()), bytes.size());
        return;
    }
    const iovec range{bytes.data(), bytes.size()};
    if (seen.is(PageState::poisoned)) region.mapper().drop({&range, 1});
    if (const int error = store::read_in_pieces(region.store(), region.offset_of(page), bytes)) {
        sys::throw_error(error, "a child of fork cannot read a page of its parent from the swap file");
    }
}

}  // namespace faultline::pager
