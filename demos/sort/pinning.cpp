#include "sort/pinning.hpp"

#include "run/size_text.hpp"

#include <faultline/pager.hpp>
#include <faultline/pin.hpp>
#include <faultline/region.hpp>
#include <faultline/types.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>

namespace faultline::demo::sort {

std::size_t pinnable_bytes(const Pager& pager, std::size_t page_size) {
    constexpr std::size_t kLeast = Pager::kMinimumPages + 2;  // one page for each half
    const std::size_t frames = pager.resident_limit() / page_size;
    if (frames < kLeast) {
        throw std::invalid_argument("--resident must be at least " + run::size_text(kLeast * page_size) + " (" +
                                    std::to_string(kLeast) + " pages of " + run::size_text(page_size) +
                                    "), so that pages can be pinned");
    }
    return (frames - Pager::kMinimumPages) / 2 * page_size;
}

std::size_t window_bytes(const Pager& pager, std::size_t page_size) {
    constexpr std::size_t kBest = std::size_t{256} << 10;  // larger calls are not faster
    return std::min(std::max(kBest, page_size), pinnable_bytes(pager, page_size));
}

void for_each_pinned_window(Region& region, std::span<std::byte> bytes, std::size_t window, PinFor purpose,
                            const std::function<void(std::span<std::byte>)>& use) {
    while (!bytes.empty()) {
        const auto offset = static_cast<std::size_t>(bytes.data() - region.data());
        const std::size_t size = std::min(window - offset % window, bytes.size());
        const Pin pin = region.pin(bytes.data(), size, purpose);
        use(bytes.first(size));
        bytes = bytes.subspan(size);
    }
}

}  // namespace faultline::demo::sort
