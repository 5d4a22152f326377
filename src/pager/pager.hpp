// Pager: one resident limit, one set of stores and one fault delivery, shared by many regions. It constructs the
// stages, owns them, and hands them out; it has no algorithms. The public faultline::Pager is a handle on one of these.
//
//   region/    regions and their page words      frame/   the budget of frames, and which page has which
//   evict/     pages leave memory                fault/   pages come in
//   control/   what the program asks of ranges   snapshot/ fork and clone
//
// Read FaultResolver::resolve first: docs/life-of-a-page-fault.md walks through it. The control path (control/,
// snapshot/) throws std::system_error and is not signal-safe; any thread may call it.
#pragma once

#include "mmu/mappers.hpp"
#include "mmu/view_registry.hpp"
#include "pager/control/discarder.hpp"
#include "pager/control/limit_keeper.hpp"
#include "pager/control/page_advice.hpp"
#include "pager/control/page_gaps.hpp"
#include "pager/control/page_mover.hpp"
#include "pager/control/pin_ledger.hpp"
#include "pager/control/protector.hpp"
#include "pager/control/region_lifecycle.hpp"
#include "pager/control/view_mapper.hpp"
#include "pager/core.hpp"
#include "pager/delivery/fault_delivery.hpp"
#include "pager/delivery/pager_threads.hpp"
#include "pager/evict/cleaner.hpp"
#include "pager/evict/evictor.hpp"
#include "pager/evict/frame_limit.hpp"
#include "pager/evict/frame_reclaimer.hpp"
#include "pager/evict/room_maker.hpp"
#include "pager/evict/shared_frames.hpp"
#include "pager/evict/split_keeper.hpp"
#include "pager/fault/buffer_pool.hpp"
#include "pager/fault/fault_resolver.hpp"
#include "pager/fault/page_fill.hpp"
#include "pager/fault/read_ahead.hpp"
#include "pager/pager_setup.hpp"
#include "pager/region/region_pager.hpp"
#include "pager/snapshot/clone_snapshot.hpp"
#include "pager/snapshot/fork_snapshot.hpp"
#include "store/backing_store.hpp"

#include <faultline/config.hpp>
#include <faultline/stats.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace faultline::pager {

class Pager final : public RegionPager {
public:
    /// `stores` null: swap files as `config` says. With `mappers` of its own, the caller brings faults to
    /// `resolve_fault` itself. Throws std::system_error.
    explicit Pager(const Config& config, std::unique_ptr<store::StoreFactory> stores = nullptr,
                   std::unique_ptr<mmu::Mappers> mappers = nullptr);
    /// All regions are destroyed.
    ~Pager();
    Pager(const Pager&) = delete;
    Pager& operator=(const Pager&) = delete;

    // ---- the stages

    [[nodiscard]] PinLedger& pins() noexcept { return pins_; }
    [[nodiscard]] Discarder& discarder() noexcept { return discarder_; }
    [[nodiscard]] Protector& protector() noexcept { return protector_; }
    [[nodiscard]] PageGaps& gaps() noexcept { return gaps_; }
    [[nodiscard]] PageMover& mover() noexcept { return mover_; }
    [[nodiscard]] PageAdvice& advice() noexcept { return advice_; }
    [[nodiscard]] ReadAhead& read_ahead() noexcept { return read_ahead_; }
    [[nodiscard]] ViewMapper& views() noexcept { return view_mapper_; }
    [[nodiscard]] LimitKeeper& limit() noexcept { return limit_; }
    [[nodiscard]] CloneSnapshot& clones() noexcept { return clones_; }
    [[nodiscard]] KeptPages& kept_pages() noexcept { return fork_.kept_pages(); }
    /// See ForkSnapshot::left_plain_memory.
    [[nodiscard]] bool left_plain_memory() const noexcept { return fork_.left_plain_memory(); }
    [[nodiscard]] PagerThreads& threads() noexcept { return threads_; }

    // ---- regions

    /// See RegionLifecycle.
    [[nodiscard]] Region& reserve(std::size_t bytes, std::size_t page_bytes, const RegionPlan& plan = {});
    void destroy(Region& region);
    /// Destroys a region in a destructor. Logs an error, and the region stays then. Does nothing in a process that does
    /// not own the pager.
    void destroy_or_report(Region& region) noexcept;

    /// Takes the regions out of the kernel's merging of pages, and finds pages that were written unseen meanwhile.
    /// Called after the program has asked the kernel to merge its pages (prctl(PR_SET_MEMORY_MERGE)).
    void forbid_merging();

    // ---- RegionPager

    [[nodiscard]] core::FaultOutcome resolve(Region& region,
                                             const core::PageFault& fault) FAULTLINE_SIGNAL_SAFE override {
        return resolver_.resolve(region, fault);
    }
    [[nodiscard]] PinnedFront pin_front(Region& region, core::PageRange range, PinFor purpose,
                                        PinAmount amount) noexcept override {
        return pins_.pin_front(region, range, purpose, amount);
    }
    void unpin(Region& region, core::PageRange range) noexcept override { pins_.unpin(region, range); }
    [[nodiscard]] bool in_owner_process() const noexcept override { return core_.in_owner_process(); }

    // ---- figures

    [[nodiscard]] std::size_t resident_limit() const noexcept { return core_.limit.bytes.load(); }
    [[nodiscard]] std::size_t memory_limit() const noexcept { return split_.memory(); }
    /// Returns how many bytes can be pinned on top of what is pinned now.
    [[nodiscard]] std::uint64_t pinnable_bytes() const noexcept { return pins_.room(); }
    [[nodiscard]] Delivery delivery() const noexcept { return core_.config.delivery; }
    [[nodiscard]] Eviction eviction() const noexcept { return core_.mappers.eviction(); }
    [[nodiscard]] PagerStats stats();
    /// Writes the stacks that were sampled so far to their file. Waits at most a second. Signal-safe.
    void flush_stacks() noexcept {
        if (core_.stack_recorder) core_.stack_recorder->flush();
    }
    /// Returns PagerStats::hard_faults, at less cost than `stats`.
    [[nodiscard]] std::uint64_t hard_faults();

private:
    explicit Pager(PagerSetup setup);
    void start_trace();

    // A member uses only members above it.
    FaultDelivery delivery_;
    mmu::ViewRegistry view_registry_;
    std::unique_ptr<mmu::Mappers> mappers_;
    PagerCore core_;
    Evictor evictor_;
    RoomMaker room_;
    Cleaner cleaner_;
    SharedFrames shared_frames_;
    FrameLimit frame_limit_;
    SplitKeeper split_;
    FrameReclaimer reclaimer_;
    BufferPool buffers_;
    FillContext fills_;
    ReadAhead read_ahead_;
    FaultResolver resolver_;
    PinLedger pins_;
    LimitKeeper limit_;
    Discarder discarder_;
    PageAdvice advice_;
    ViewMapper view_mapper_;
    Protector protector_;
    PageGaps gaps_;
    PageMover mover_;
    RegionLifecycle lifecycle_;
    PagerThreads threads_;
    CloneSnapshot clones_;
    ForkSnapshot fork_;
};

}  // namespace faultline::pager
