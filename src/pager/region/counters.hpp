// Counters: the live counters behind RegionStats and PagerStats. They are sharded by CPU, so that faults on different
// CPUs do not share a cache line, and are always on. Each region has one; the pager's own counts what belongs to no
// region.
#pragma once

#include "core/page_word.hpp"
#include "core/signal_safe.hpp"
#include "core/stats_figures.hpp"
#include "sys/cpu.hpp"

#include <faultline/stats.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace faultline::pager {

/// The kinds of counts. RegionStats and PagerStats in stats.hpp describe each; up to `pinned` in the same order.
enum class Count : std::uint8_t {
    first_touches,
    hard_faults,
    soft_faults,
    write_faults,
    failed_faults,
    evictions,
    clean_evictions,
    read_ahead,
    bytes_read,
    bytes_written,
    read_errors,
    write_errors,
    // Gauges, in pages: sums of +1 and -1. `direct_reclaims` is a counter again.
    resident,
    dirty,
    staged,
    swapped,
    pinned,
    direct_reclaims,
    kinds,
};
static_assert(static_cast<std::size_t>(Count::pinned) + 1 == core::figures_of<RegionStats>().size());

/// All accesses are relaxed: a sum is exact only while no fault runs.
class Counters {
public:
    Counters()
        : mask_{std::bit_ceil(std::min(sys::allowed_cpus(), kMostShards)) - 1},
          shards_{std::make_unique<Shard[]>(mask_ + 1)} {}

    /// Adds to the calling CPU's shard. Signal-safe.
    void add(Count kind, std::int64_t amount = 1) const FAULTLINE_SIGNAL_SAFE {
        shards_[sys::current_cpu() & mask_].values[static_cast<std::size_t>(kind)].fetch_add(amount,
                                                                                             std::memory_order_relaxed);
    }

    /// Returns the sum over all shards.
    [[nodiscard]] std::int64_t sum(Count kind) const noexcept {
        std::int64_t total = 0;
        for (std::size_t i = 0; i <= mask_; ++i) {
            total += shards_[i].values[static_cast<std::size_t>(kind)].load(std::memory_order_relaxed);
        }
        return total;
    }

    /// Updates the gauges for a page word that changes from `before` to `after`. Signal-safe.
    void account(core::PageWord before, core::PageWord after) const FAULTLINE_SIGNAL_SAFE {
        using core::PageState;
        step(Count::resident, is_mapped(before), is_mapped(after));
        step(Count::staged, before.is(PageState::staged), after.is(PageState::staged));
        step(Count::swapped, before.is(PageState::stored), after.is(PageState::stored));
        step(Count::dirty, before.dirty(), after.dirty());
        step(Count::pinned, is_pinned(before), is_pinned(after));
    }

private:
    static constexpr unsigned kMostShards = 16;

    struct alignas(64) Shard {
        std::array<std::atomic<std::int64_t>, static_cast<std::size_t>(Count::kinds)> values{};
    };

    static bool is_mapped(core::PageWord word) noexcept {
        return word.is(core::PageState::resident) || word.is(core::PageState::evicting);
    }

    /// True if the page counts as pinned. A page pinned through a view is empty in the view, and counts in the shared
    /// region.
    static bool is_pinned(core::PageWord word) noexcept { return word.pins() > 0 && !word.is(core::PageState::empty); }

    void step(Count kind, bool before, bool after) const FAULTLINE_SIGNAL_SAFE {
        if (before != after) add(kind, after ? 1 : -1);
    }

    std::size_t mask_;
    std::unique_ptr<Shard[]> shards_;
};

/// Returns the figures of one region. Gauges are multiplied by the page size.
inline RegionStats region_stats(const Counters& counters, std::uint64_t page_bytes) noexcept {
    const auto count = [&](Count kind) { return static_cast<std::uint64_t>(counters.sum(kind)); };
    // While faults run, the sum may include a -1 and miss its +1, and be negative.
    const auto bytes = [&](Count kind) {
        const std::int64_t pages = counters.sum(kind);
        return pages > 0 ? static_cast<std::uint64_t>(pages) * page_bytes : 0;
    };
    RegionStats stats;
    // The kinds of Count are in the order of RegionStats' members.
    auto kind = Count::first_touches;
    for (const core::Figure<RegionStats>& figure : core::figures_of<RegionStats>()) {
        stats.*figure.member = figure.kind == core::FigureKind::counter ? count(kind) : bytes(kind);
        kind = static_cast<Count>(static_cast<int>(kind) + 1);
    }
    return stats;
}

}  // namespace faultline::pager
