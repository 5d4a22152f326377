// PagerCore: what the stages of one pager share. It holds state and no algorithms. Pager constructs it first; every
// stage keeps one reference to it.
//
// Lock order: PagerCore::control, then a region's `protecting()`, then ViewRegistry's lock, then a page's ownership
// (filling, evicting), then the lock of FrameTable or of Staging.
#pragma once

#include "core/signal_safe.hpp"
#include "mmu/mappers.hpp"
#include "mmu/view_registry.hpp"
#include "pager/frame/departure_clock.hpp"
#include "pager/frame/frame_budget.hpp"
#include "pager/frame/frame_table.hpp"
#include "pager/frame/housekeeper.hpp"
#include "pager/frame/limit_figures.hpp"
#include "pager/frame/miss_record.hpp"
#include "pager/frame/progress_guard.hpp"
#include "pager/frame/put_off_start.hpp"
#include "pager/frame/staging.hpp"
#include "pager/frame/thrash_watch.hpp"
#include "pager/frame/write_wait.hpp"
#include "pager/log/event_log.hpp"
#include "pager/region/counters.hpp"
#include "pager/region/latency_recorder.hpp"
#include "pager/region/page_place.hpp"
#include "pager/region/page_sizes.hpp"
#include "pager/region/region_directory.hpp"
#include "store/backing_store.hpp"
#include "sys/mapping.hpp"
#include "trace/fault_trace.hpp"
#include "trace/stacks/stack_recorder.hpp"

#include <faultline/config.hpp>
#include <faultline/stats.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace faultline::pager {

struct PagerCore {
    /// `config`: checked, with the delivery that was chosen. `mappers` and `views` must outlive this. Throws
    /// std::system_error.
    PagerCore(const Config& config, std::unique_ptr<store::StoreFactory> stores, mmu::Mappers& mappers,
              mmu::ViewRegistry& views);
    PagerCore(const PagerCore&) = delete;
    PagerCore& operator=(const PagerCore&) = delete;

    /// False in a child of fork that has not inherited the pager.
    [[nodiscard]] bool in_owner_process() const noexcept;
    /// Throws std::system_error (EPERM) in such a child.
    void require_owner_process() const;

    /// The page at an address of `region`: there, or in the shared region that a view maps. The caller is a reader.
    [[nodiscard]] PagePlace place_of(Region& region, std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE;

    /// Wakes the housekeeper, if there is one.
    void wake_housekeeper() const FAULTLINE_SIGNAL_SAFE {
        if (housekeeper) housekeeper->wake();
    }

    /// Waits for the threads and rings that PagerThreads has put off, if a fault would use them. `needs_read`: its page
    /// comes from the store. Call before the fault owns a page.
    void await_put_off(bool needs_read) FAULTLINE_SIGNAL_SAFE {
        put_off.ask_and_wait(needs_read, [this]() FAULTLINE_SIGNAL_SAFE { wake_housekeeper(); });
    }

    /// Wakes it if the stores have freed space to return to their file systems. Called after pages were discarded, by a
    /// reader or with `control`. Signal-safe.
    void wake_to_return_space() const FAULTLINE_SIGNAL_SAFE {
        if (housekeeper && stores->has_space_to_return()) housekeeper->wake();
    }

    Config config;
    unsigned generation;  // of the process that made or inherited the pager
    EventLog log;
    std::unique_ptr<store::StoreFactory> stores;
    mmu::Mappers& mappers;
    mmu::ViewRegistry& views;

    LimitFigures limit;
    FrameBudget budget;
    FrameTable frames;
    Staging staging;
    RegionDirectory regions;
    ProgressGuard guard;
    DepartureClock departures;
    WriteWait write_wait;
    MissRecord misses;  // recorded with Config::memory_limit only
    ThrashWatch thrash;
    sys::Mapping zeros;  // never written: all its pages are the kernel's zero page

    LatencyRecorder latencies;
    Counters counters;                               // what belongs to no region
    std::unique_ptr<trace::FaultTrace> fault_trace;  // null unless faults are recorded
    /// Null unless stacks are recorded. Replaced in a child of fork.
    std::unique_ptr<trace::StackRecorder> stack_recorder;

    std::mutex control;     // guards regions coming and going, the limit, and the next two
    PageSizes page_sizes;   // of the regions
    RegionStats destroyed;  // the sum of the statistics of regions that are destroyed

    PutOffStart put_off;                       // what the housekeeper starts when it is first needed
    std::unique_ptr<Housekeeper> housekeeper;  // null without a background evictor; changes at a standstill only
};

/// Makes and starts PagerCore::stack_recorder if the configuration asks for it. `touched_units`: by first touches
/// before, in a child of fork. Throws std::system_error.
void start_stack_recorder(PagerCore& core, std::uint64_t touched_units = 0);

}  // namespace faultline::pager
