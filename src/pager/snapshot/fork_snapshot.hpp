// ForkSnapshot: takes one pager, which children inherit, over a fork. Forking calls these functions for all such pagers
// of the process, in the order in which they stand here.
#pragma once

#include "pager/core.hpp"
#include "pager/delivery/fault_delivery.hpp"
#include "pager/delivery/pager_threads.hpp"
#include "pager/evict/batch_finisher.hpp"
#include "pager/evict/cleaner.hpp"
#include "pager/fault/read_ahead.hpp"
#include "pager/snapshot/standstill_writer.hpp"

#include <memory>
#include <vector>

namespace faultline::pager {

class ForkSnapshot {
public:
    ForkSnapshot(PagerCore& core, FaultDelivery& delivery, PagerThreads& threads, BatchFinisher& finisher,
                 Cleaner& cleaner, ReadAhead& read_ahead) noexcept
        : core_{core},
          delivery_{delivery},
          threads_{threads},
          finisher_{finisher},
          cleaner_{cleaner},
          read_ahead_{read_ahead} {}

    /// Takes the locks of the control path, so that no control call is in the middle of a change.
    void lock();
    void unlock() noexcept;

    /// At a standstill: writes all dirty pages and freezes the swap files. A failure is logged; the child then has
    /// nothing of the pager.
    void prepare() noexcept;

    void go_on_in_parent() noexcept;

    /// In the child, for every pager before anything is mapped: makes the staging area inaccessible.
    void close_in_child() noexcept;

    /// In the child: makes all pages absent; opens new descriptors, mappings and threads for the same regions at the
    /// same addresses. Throws std::system_error: then the child must end.
    void start_in_child();

    [[nodiscard]] const PagerCore& core() const noexcept { return core_; }

private:
    void write_dirty(store::WriteQueue& queue);
    void map_again(Region& region);
    void map_window_again(Region& region);
    void set_access_again(Region& region);
    void set_access_again(Region& region, core::PageRange range);
    void map_views_again();
    void make_absent(Region& region, std::vector<core::PageRef>& pinned);
    void bring_back(core::PageRef pinned);

    PagerCore& core_;
    FaultDelivery& delivery_;
    PagerThreads& threads_;
    BatchFinisher& finisher_;
    Cleaner& cleaner_;
    ReadAhead& read_ahead_;
    bool prepared_ = false;
    // From before fork until after it: a thread that stays would not see what the program changes for its threads, such
    // as a table of descriptors.
    std::unique_ptr<StandstillWriter> writer_;
};

}  // namespace faultline::pager
