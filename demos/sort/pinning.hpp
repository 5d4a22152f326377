// System calls on managed memory, in pinned windows. If the faulting thread answers a fault (`uffd_signal`), a system
// call on an absent page fails with EFAULT. So a range is walked in windows, each pinned during its call: read(2) and
// write(2) then work directly on managed memory, without a copy.
#pragma once

#include <faultline/pager.hpp>
#include <faultline/region.hpp>
#include <faultline/types.hpp>

#include <cstddef>
#include <functional>
#include <span>

namespace faultline::demo::sort {

/// Returns half of what can be pinned, in bytes: the limit minus the frames that faults need, in whole pages. So a
/// pinned buffer and a pinned window fit together. Throws std::invalid_argument if it is less than a page.
[[nodiscard]] std::size_t pinnable_bytes(const Pager& pager, std::size_t page_size);

/// Returns the size of a window in bytes: enough for a fast system call, at most `pinnable_bytes`. Throws as that does.
[[nodiscard]] std::size_t window_bytes(const Pager& pager, std::size_t page_size);

/// Calls `use(window)` for each window of `bytes`, pinned during the call. Windows end at multiples of `window` from
/// the region's first byte, so that no window pins more pages than needed.
void for_each_pinned_window(Region& region, std::span<std::byte> bytes, std::size_t window, PinFor purpose,
                            const std::function<void(std::span<std::byte>)>& use);

}  // namespace faultline::demo::sort
