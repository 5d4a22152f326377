#include "heap/page_discarder.hpp"

#include <system_error>

namespace faultline::heap {

namespace {

// Shorter runs keep their space on disk, because punching a hole costs as much as a hundred frees.
constexpr std::uint64_t kLeastPagesToPunch = 64;

}  // namespace

bool PageDiscarder::discard(core::PageRange pages) noexcept {
    if (!discard_fresh(pages)) return false;
    pages_.life().mark_discarded(pages);
    bytes_.fetch_add(pages.count << core::kUnitShift, std::memory_order_relaxed);
    return true;
}

bool PageDiscarder::discard_fresh(core::PageRange pages) noexcept {
    const auto disk = pages.count < kLeastPagesToPunch ? pager::DiskSpace::keep : pager::DiskSpace::give_back;
    try {
        pager_.discarder().discard(pages_.region(), pages, disk);
        return true;
    } catch (const std::system_error&) {
        return false;
    }
}

}  // namespace faultline::heap
