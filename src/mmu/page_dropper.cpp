#include "mmu/page_dropper.hpp"

#include "core/units.hpp"
#include "sys/mapping.hpp"
#include "sys/syscall.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

namespace faultline::mmu {
namespace {

constexpr std::size_t kMostRangesPerCall = 64;

long drop_in_one_call(int self, std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE {
    return sys::raw_syscall(SYS_process_madvise, self, sys::syscall_argument(ranges.data()), ranges.size(),
                            MADV_DONTNEED, 0);
}

}  // namespace

void PageDropper::open() noexcept {
    self_ = sys::FileDescriptor{static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0))};
}

/// Earlier kernels return EINVAL.
PageDropper::PageDropper() {
    open();
    if (!self_) return;
    const sys::Mapping trial = sys::Mapping::reserve(core::kUnitBytes, core::kUnitBytes, false, "a trial page");
    const iovec range{trial.data(), trial.size()};
    if (drop_in_one_call(self_.get(), {&range, 1}) != static_cast<long>(trial.size())) self_.reset();
}

void PageDropper::drop(std::span<const iovec> ranges) const FAULTLINE_SIGNAL_SAFE {
    while (ranges.size() > 1 && self_) {
        const long result = drop_in_one_call(self_.get(), ranges.first(std::min(ranges.size(), kMostRangesPerCall)));
        if (result <= 0) break;
        auto left = static_cast<std::size_t>(result);
        while (!ranges.empty() && left >= ranges.front().iov_len) {
            left -= ranges.front().iov_len;
            ranges = ranges.subspan(1);
        }
        if (left > 0) break;  // stopped inside a range; dropping that range from the start again does no harm
    }
    for (const iovec& range : ranges) sys::drop_pages(range.iov_base, range.iov_len);
}

}  // namespace faultline::mmu
