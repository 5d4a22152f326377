#include "pager/control/limit_keeper.hpp"

#include "core/units.hpp"
#include "pager/region/fault_path_section.hpp"
#include "sys/error.hpp"
#include "sys/machine_memory.hpp"
#include "sys/transient.hpp"

#include <faultline/pager.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <string>

namespace faultline::pager {
namespace {

constexpr std::size_t kMinimumPages = faultline::Pager::kMinimumPages;

}  // namespace

void require_room_for_pages(const PagerCore& core, std::size_t largest) {
    const std::size_t limit = core.limit.bytes.load();
    if (limit >= kMinimumPages * largest) return;
    sys::throw_error(EINVAL, "the resident limit of " + sys::readable_bytes(limit) + " is too small for pages of " +
                                 sys::readable_bytes(largest) + ": it must hold " + std::to_string(kMinimumPages) +
                                 " of them; raise it, or choose smaller pages");
}

void LimitKeeper::set(std::size_t bytes) {
    core_.require_owner_process();
    const std::string warning = sys::lower_to_machine_memory("a resident limit", bytes);
    if (!warning.empty()) core_.log.say(LogLevel::warning, warning);
    const std::lock_guard lock{core_.control};
    const std::size_t before = core_.limit.bytes.load();
    const std::size_t largest = core_.page_sizes.largest();
    if (bytes < kMinimumPages * largest) {
        sys::throw_error(EINVAL, "a resident limit of " + sys::readable_bytes(bytes) + " is too small: it must hold " +
                                     std::to_string(kMinimumPages) + " pages of " + sys::readable_bytes(largest));
    }
    const auto unpinned_minimum = static_cast<std::int64_t>(kMinimumPages * largest / core::kUnitBytes);
    if (pins_.pinned_units() + unpinned_minimum > static_cast<std::int64_t>(bytes / core::kUnitBytes)) {
        sys::throw_error(EBUSY, "pins hold too much for a resident limit of " + sys::readable_bytes(bytes));
    }
    try {
        apply(bytes, largest);
        shrink_to(bytes);
    } catch (...) {
        apply(before, largest);
        throw;
    }
}

/// Evicts until what is used fits the limit that is in force.
void LimitKeeper::shrink_to(std::size_t bytes) {
    int write_error = 0;
    for (int failures = 0; core_.budget.available() < 0 && failures < 100;) {
        const FaultPathSection section;
        const Reclaimed reclaimed = reclaimer_.reclaim(-core_.budget.available());
        if (reclaimed.write_error != 0 && reclaimed.units == 0) {
            write_error = reclaimed.write_error;
            ++failures;
        }
        if (!reclaimed.progress) sys::nap(std::chrono::microseconds{100});  // faults hold the rest
    }
    if (core_.budget.available() < 0) {
        sys::throw_error(write_error, "cannot shrink the resident limit to " + sys::readable_bytes(bytes) +
                                          ": the swap store does not take what would have to leave");
    }
}

void LimitKeeper::apply(std::size_t bytes, std::size_t largest_page) {
    // One page is set aside: where a page is copied, it exists twice for a moment.
    const auto units = static_cast<std::int64_t>((bytes - largest_page) / core::kUnitBytes);
    const auto largest_units = static_cast<std::int64_t>(largest_page / core::kUnitBytes);
    const std::int64_t pages = units / largest_units;
    // Below this a second chance or a head start would take frames that the program needs.
    constexpr std::int64_t kFew = 256;
    const bool few = pages < kFew;
    const sys::SignalBlock signals;
    LimitFigures& limit = core_.limit;
    limit.bytes.store(bytes);
    limit.pinnable_units.store(
        static_cast<std::int64_t>((bytes - std::min(bytes, kMinimumPages * largest_page)) / core::kUnitBytes));
    limit.most_kept_free.store(few ? 0 : units / 50);
    limit.staging_target.store(few ? 0 : core_.frames.staging_target(static_cast<std::size_t>(units)));
    const std::int64_t urgent = std::clamp<std::int64_t>(pages / 32, 1, 8);
    limit.urgent_batch.store(static_cast<std::size_t>(urgent));
    limit.direct_batch.store(static_cast<std::size_t>(std::clamp<std::int64_t>(pages / 512, urgent, 64)));
    limit.frames_are_few.store(pages < 16 * kFew);
    core_.frames.resized(static_cast<std::size_t>(units));
    core_.budget.set_limit(units);
}

std::uint64_t LimitKeeper::room_for(const Region& region, std::uint64_t promised) noexcept {
    const RegionStats stats = region_stats(region.counters(), region.page_bytes());
    const std::uint64_t touched = stats.resident_bytes + stats.staged_bytes + stats.swapped_bytes;
    const std::uint64_t untouched = promised - std::min(promised, touched);
    const auto used = static_cast<std::uint64_t>(std::max<std::int64_t>(core_.budget.used(), 0)) * core::kUnitBytes;
    const std::uint64_t limit = core_.limit.bytes.load();
    const std::uint64_t in_store = core_.stores->room();
    // Free frames take what is promised first, then the store does.
    const std::uint64_t free = limit - std::min(limit, used);
    const std::uint64_t all = in_store > ~free ? ~std::uint64_t{0} : in_store + free;
    return all - std::min(all, untouched);
}

}  // namespace faultline::pager
