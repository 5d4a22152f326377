// System calls on managed memory. Where a fault is answered by the faulting thread (`uffd_signal`), a system call that
// meets an absent page fails with EFAULT instead of waiting. So the range is walked in windows, and each is pinned for
// as long as the call needs it: read(2) and write(2) then work straight on managed memory, without a copy.
#pragma once

#include <faultline/pager.hpp>
#include <faultline/region.hpp>
#include <faultline/types.hpp>

#include <cstddef>
#include <functional>
#include <span>

namespace faultline::demo::sort {

/// Half of what may be pinned at all, in bytes: the limit without the frames that faults need, in whole pages. So there
/// is room for a pinned buffer and a pinned window together. Throws std::invalid_argument when that is not one page.
[[nodiscard]] std::size_t pinnable_bytes(const Pager& pager, std::size_t page_size);

/// Bytes of a window: enough for a fast system call, at most `pinnable_bytes`. Throws as that does.
[[nodiscard]] std::size_t window_bytes(const Pager& pager, std::size_t page_size);

/// Calls `use(window)` for one window of `bytes` after the other, each pinned meanwhile. Windows end on multiples of
/// `window` from the region's first byte, so that none pins more pages than it must.
void for_each_pinned_window(Region& region, std::span<std::byte> bytes, std::size_t window, PinFor purpose,
                            const std::function<void(std::span<std::byte>)>& use);

}  // namespace faultline::demo::sort
