// Stager: unmaps pages that the caller has claimed (evicting). It stages dirty pages, and clean pages if they may be
// needed again soon. It drops other clean pages at once.
#pragma once

#include "core/signal_safe.hpp"
#include "pager/core.hpp"
#include "pager/evict/reclaimed.hpp"
#include "pager/frame/frame_table.hpp"
#include "pager/frame/staging.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::pager {

/// What to do with clean pages.
enum class CleanPages : std::uint8_t {
    drop,
    stage,           ///< As a second chance: a fault takes them back without a read.
    stage_for_copy,  ///< Only those that the store wants a copy of; the others are dropped.
};

/// Signal-safe. The caller holds the batch, is a reader of RegionMap::readers(), and has signals blocked.
class Stager {
public:
    explicit Stager(PagerCore& core) noexcept : core_{core} {}

    /// Unmaps the first `count` pages of `batch.scratch.chosen`. Pages that the kernel holds stay resident.
    Reclaimed unmap(StagingBatch& batch, std::size_t count, CleanPages clean) FAULTLINE_SIGNAL_SAFE;

    /// Drops the clean ones of the first `count` chosen pages; the others stay resident. Used when the store refuses
    /// writes.
    Reclaimed drop_clean(StagingBatch& batch, std::size_t count) FAULTLINE_SIGNAL_SAFE;

private:
    /// The way of one page out of memory.
    enum class Exit : std::uint8_t { drop, stage_clean, stage_dirty };
    [[nodiscard]] Exit exit_of(const ChosenPage& chosen, CleanPages clean) const FAULTLINE_SIGNAL_SAFE;
    Reclaimed stage_run(StagingBatch& batch, std::size_t first, std::size_t end,
                        CleanPages clean) FAULTLINE_SIGNAL_SAFE;
    std::int64_t drop_unchanged(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;
    std::int64_t drop_refused(const ChosenPage& chosen, StagingUnit unit) FAULTLINE_SIGNAL_SAFE;
    std::int64_t drop(StagingBatch& batch, std::size_t count) FAULTLINE_SIGNAL_SAFE;
    void publish_evicted(const ChosenPage& gone) FAULTLINE_SIGNAL_SAFE;
    void keep_resident(const ChosenPage& chosen) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::size_t keep_dirty_resident(std::span<ChosenPage> chosen) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool has_changed(const ChosenPage& chosen, StagingUnit unit) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool is_dirty(const ChosenPage& chosen) const FAULTLINE_SIGNAL_SAFE;

    PagerCore& core_;
};

}  // namespace faultline::pager
