#include "pager/control/limit_keeper.hpp"

#include "core/units.hpp"
#include "pager/region/fault_path_section.hpp"
#include "store/write_queue.hpp"
#include "sys/error.hpp"
#include "sys/machine_memory.hpp"
#include "sys/transient.hpp"

#include <faultline/pager.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>

namespace faultline::pager {
namespace {

constexpr std::size_t kMinimumPages = faultline::Pager::kMinimumPages;

}  // namespace

void LimitKeeper::begin() {
    const sys::SignalBlock signals;
    const std::size_t memory = core_.config.memory_limit;
    frames_.set(memory == 0 ? core_.config.resident_limit
                            : MemorySplit::divided(memory) - MemorySplit::first_share(memory));
    if (memory != 0) split_.set_memory(memory);
}

void LimitKeeper::require_room_for_pages(std::size_t largest) const {
    const bool all = split_.is_on();
    const std::size_t limit = all ? MemorySplit::divided(split_.memory()) : core_.limit.bytes.load();
    if (limit >= kMinimumPages * largest) return;
    sys::throw_error(EINVAL, std::string(all ? "the memory limit of " : "the resident limit of ") +
                                 sys::readable_bytes(limit) + " is too small for pages of " +
                                 sys::readable_bytes(largest) + ": it must hold " + std::to_string(kMinimumPages) +
                                 " of them; raise it, or choose smaller pages");
}

/// Lowers a limit, called `name`, to the machine's memory. Throws if pages or pins need more. The caller has
/// PagerCore::control.
void LimitKeeper::check(const char* name, std::size_t& bytes) {
    const std::string warning = sys::lower_to_machine_memory(name, bytes);
    if (!warning.empty()) core_.log.say(LogLevel::warning, warning);
    const std::size_t largest = core_.page_sizes.largest();
    if (bytes < kMinimumPages * largest) {
        sys::throw_error(EINVAL, std::string(name) + " of " + sys::readable_bytes(bytes) +
                                     " is too small: it must hold " + std::to_string(kMinimumPages) + " pages of " +
                                     sys::readable_bytes(largest));
    }
    const auto unpinned_minimum = static_cast<std::int64_t>(kMinimumPages * largest / core::kUnitBytes);
    if (pins_.pinned_units() + unpinned_minimum > static_cast<std::int64_t>(bytes / core::kUnitBytes)) {
        sys::throw_error(EBUSY, "pins hold too much for " + std::string(name) + " of " + sys::readable_bytes(bytes));
    }
}

void LimitKeeper::set(std::size_t bytes) {
    core_.require_owner_process();
    if (split_.is_on()) {
        sys::throw_error(EINVAL,
                         "Config::memory_limit divides the memory by itself: change the memory limit, not the "
                         "resident limit");
    }
    const std::lock_guard lock{core_.control};
    check("a resident limit", bytes);
    const std::size_t before = core_.limit.bytes.load();
    const auto apply = [this](std::size_t limit) {
        const sys::SignalBlock signals;
        frames_.set(limit);
    };
    try {
        apply(bytes);
        shrink_to(bytes);
    } catch (...) {
        apply(before);
        throw;
    }
}

void LimitKeeper::set_memory(std::size_t bytes) {
    core_.require_owner_process();
    if (!split_.is_on()) {
        sys::throw_error(EINVAL, "the pager has no memory limit: give it one with Config::memory_limit");
    }
    const std::lock_guard lock{core_.control};
    check("a memory limit", bytes);
    const std::size_t before = split_.memory();
    split_.set_memory(bytes);
    if (const int error = fit_memory()) {
        split_.set_memory(before);
        sys::throw_error(error, "cannot shrink the memory limit to " + sys::readable_bytes(bytes) +
                                    ": the swap store does not take what would have to leave");
    }
}

/// Evicts and spills until all memory fits the memory limit, and the frames have the least that they need. Returns 0 or
/// the error of the store.
int LimitKeeper::fit_memory() {
    if (split_.fits()) return 0;
    store::SequentialWriteQueue slow;
    std::unique_ptr<store::WriteQueue> fast;  // opened when it is needed: that takes a thread
    int error = 0;
    for (int idle = 0; !split_.fits() && idle < 100;) {
        const std::size_t before = split_.now().sum();
        if (core_.stores->needs_upkeep() && !fast) fast = store::fastest_write_queue();
        store::WriteQueue& queue = fast ? *fast : static_cast<store::WriteQueue&>(slow);
        Reclaimed reclaimed;
        {
            const FaultPathSection section;
            if (core_.budget.available() < 0) reclaimed = reclaimer_.reclaim(-core_.budget.available());
            if (core_.stores->needs_upkeep()) reclaimed.write_error = core_.stores->do_upkeep(queue);
            split_.look(queue);
        }
        if (reclaimed.write_error != 0) error = reclaimed.write_error;
        if (split_.now().sum() < before) continue;
        ++idle;
        sys::nap(std::chrono::microseconds{100});  // faults hold the rest
    }
    return split_.fits() ? 0 : error != 0 ? error : EBUSY;
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

void LimitKeeper::set_largest_page(std::size_t bytes) {
    {
        const sys::SignalBlock signals;
        frames_.set_largest_page(bytes);
    }
    if (split_.is_on()) static_cast<void>(fit_memory());  // until the frames have the room that such pages need
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
