// Pager: answers page faults. Owns the frame budget, the replacement policy, the staging area, the mapper, the fault
// source and the background evictor; its regions share them. The public faultline::Pager is a handle on one of these.
//
// Two halves: the fault path (pager.cpp: resolve and what it calls), which is signal-safe, and the control path
// (pager_control.cpp, range_control.cpp), which throws. Lock order: control mutex, then a region's protecting(), then
// the views' mutex, then a page's ownership, then the frame lock or the staging lock.
#pragma once

#include "core/page_fault.hpp"
#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "mmu/delivery_trial.hpp"
#include "mmu/mapper.hpp"
#include "mmu/signal_fault_source.hpp"
#include "mmu/uffd_thread_source.hpp"
#include "pager/async_reader.hpp"
#include "pager/event_log.hpp"
#include "pager/evictor.hpp"
#include "pager/fault_trace.hpp"
#include "pager/filler.hpp"
#include "pager/frame_budget.hpp"
#include "pager/frame_table.hpp"
#include "pager/housekeeper.hpp"
#include "pager/latency_recorder.hpp"
#include "pager/page_sizes.hpp"
#include "pager/progress_guard.hpp"
#include "pager/region.hpp"
#include "pager/region_directory.hpp"
#include "pager/shared_frames.hpp"
#include "pager/staging.hpp"
#include "pager/standstill_writer.hpp"
#include "policy/prefetch_streams.hpp"
#include "store/backing_store.hpp"
#include "store/write_queue.hpp"
#include "sys/descriptor_keeper.hpp"
#include "sys/userfaultfd.hpp"

#include <faultline/config.hpp>
#include <faultline/stats.hpp>

#include <atomic>
#include <bit>
#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace faultline::detail {

/// How many pages of a range to pin.
enum class PinAmount : std::uint8_t {
    all,         ///< All of them; none when the resident limit does not leave room for all.
    fair_share,  ///< At most half of what the limit leaves, and at least one.
};

/// What a discard does with space on disks.
enum class DiskSpace : std::uint8_t {
    give_back,
    keep,  ///< Where that is faster; until the region goes.
};

/// What was pinned: the first `pages` of the range, all of them when `error` (an errno) is 0.
struct PinnedFront {
    std::uint64_t pages;
    int error;
};

class Pager {
public:
    /// `stores` null: swap files as `config` says. With a `mapper` of their own, callers bring the faults to `resolve`
    /// themselves. Throws std::system_error.
    explicit Pager(const Config& config, std::unique_ptr<store::StoreFactory> stores = nullptr,
                   std::unique_ptr<mmu::Mapper> mapper = nullptr);
    ~Pager();
    Pager(const Pager&) = delete;
    Pager& operator=(const Pager&) = delete;

    // ---- the fault path

    /// Resolves one fault of any pager's region. Signal-safe.
    [[nodiscard]] static core::FaultOutcome resolve(const core::PageFault& fault) FAULTLINE_SIGNAL_SAFE;

    /// What the owner of a region with gaps says of an access that is not allowed. Signal-safe.
    [[nodiscard]] static core::ViolationReport report(const core::PageFault& fault) FAULTLINE_SIGNAL_SAFE;

    // ---- the control path: throws std::system_error; not signal-safe; any thread

    [[nodiscard]] Region& reserve(std::size_t bytes, std::size_t page_bytes, const RegionPlan& plan = {});
    void destroy(Region& region);

    void discard(Region& region, core::PageRange range, DiskSpace space = DiskSpace::give_back);

    /// Moves contents to other pages of the region, which lose theirs; the ranges do not overlap, both may be written
    /// to, and nobody uses either meanwhile. From the first page on; returns how many came: not all where frames cannot
    /// be moved, a page is pinned, or one cannot come in from the store. Throws as discard.
    [[nodiscard]] std::uint64_t move_pages(Region& region, core::PageRange from, std::uint64_t to);

    // For regions with gaps. The caller serialises them, for each region, with one another and with `protect`.

    /// Lets the program use pages that are closed, and so empty: `access` is not `none`. Throws ENOMEM at
    /// vm.max_map_count, and then they are closed as before.
    void open_pages(Region& region, core::PageRange range, Access access);
    /// Takes them away again, with what is in them. Throws EBUSY when one is pinned, ENOMEM at vm.max_map_count: then
    /// all stay as they were.
    void close_pages(Region& region, core::PageRange range);
    /// Says of empty pages that the store has bytes of theirs, which the first access is to read.
    void expect_in_store(Region& region, core::PageRange range);
    /// Both: what is there goes, and the next access reads what the store had before. One meanwhile may find zeros.
    void discard_to_store(Region& region, core::PageRange range);

    void protect(Region& region, core::PageRange range, Access access);
    /// Does what the following do, as `advice` says.
    void advise(Region& region, core::PageRange range, Advice advice);
    /// Closes pages that nobody uses for as long as the region lives: any access raises SIGSEGV. Costs no mappings
    /// where the kernel has guard markers (Linux 6.13), nor under Delivery::sigsegv.
    void guard(Region& region, core::PageRange range);
    /// Brings in what is stored of a range, as far as frames are to be had without a wait.
    void bring_ahead(Region& region, core::PageRange range);
    /// The same, without waiting for it; and waiting for what was begun so.
    void want(Region& region, core::PageRange range);
    void wait_for_wanted(Region& region, core::PageRange range);
    void cool(Region& region, core::PageRange range);
    void expect(Region& region, core::PageRange range, policy::AccessAdvice advice);
    void evict(Region& region, core::PageRange range);
    void retry(Region& region, core::PageRange range);
    void pin(Region& region, core::PageRange range, PinFor purpose);
    /// Pins what it can of the front of `range`: stops at the first page that cannot be pinned, with EACCES, EIO,
    /// ENOSPC, EOVERFLOW, or with ENOMEM for the limit. Neither throws nor allocates nor takes the control mutex: a
    /// reader may call it.
    [[nodiscard]] PinnedFront pin_front(Region& region, core::PageRange range, PinFor purpose,
                                        PinAmount amount) noexcept;
    void unpin(Region& region, core::PageRange range) noexcept;

    /// After the program has asked the kernel to merge its pages (prctl(PR_SET_MEMORY_MERGE)): takes the regions out of
    /// it, and finds what has been written unseen meanwhile.
    void forbid_merging();

    void set_resident_limit(std::size_t bytes);
    [[nodiscard]] std::size_t resident_limit() const noexcept { return limit_bytes_.load(); }

    /// How many bytes more of `region`, of which the program has been promised `promised`, memory and store could hold,
    /// if it touched all of them: an estimate, on the safe side where nobody else fills the disk. Takes no lock of the
    /// pager's.
    [[nodiscard]] std::uint64_t room_for(const Region& region, std::uint64_t promised) noexcept;
    [[nodiscard]] Delivery delivery() const noexcept { return config_.delivery; }
    [[nodiscard]] Eviction eviction() const noexcept { return mapper_.eviction(); }
    [[nodiscard]] PagerStats stats();

    // ---- shared regions: one set of pages, seen in views that lie in regions with gaps. The caller serialises what
    // it does to the views of one shared region, and to those in one with gaps.

    /// Whether this kernel has what it takes.
    [[nodiscard]] bool can_share();
    /// Lets the program use pages of `shared`, from `first` on, in a closed range. Throws ENOMEM at vm.max_map_count,
    /// and then all is as before.
    void map_view(Region& region, core::PageRange range, Region& shared, std::uint64_t first, Access access);
    /// Takes the views in the range away again. Pages that no other view shows are written to their store first, and
    /// are forgotten. Throws EBUSY when one is pinned here, EIO when not all could be written, ENOMEM: then all is as
    /// before, when `access` is what it was.
    void unmap_views(Region& region, core::PageRange range, Access access);

    /// A run of pages of a region, and where the program sees it.
    struct Run {
        Region* region;
        core::PageRange pages;
        std::uintptr_t seen_at;
    };
    /// Where the pages of a range are: in its own region, or in shared ones. They stay as long as the views do.
    [[nodiscard]] std::vector<Run> runs_of(Region& region, core::PageRange range) const;

    /// Writes what is dirty of a range to its store; the pages leave on the way. Returns 0, EBUSY when a page is pinned
    /// or held by the kernel, or why the store refuses. What is written to meanwhile may be dirty again.
    [[nodiscard]] int write_out(Region& region, core::PageRange range);

    // ---- clones

    /// While the lock lives no region of the pager comes or goes, and no fork begins that inherits it: stores may be
    /// opened and closed.
    [[nodiscard]] std::unique_lock<std::mutex> keep_regions() { return std::unique_lock{control_}; }

    /// A store as `region` got when it was made, with that lock.
    [[nodiscard]] std::unique_ptr<store::BackingStore> open_store(const Region& region);

    /// Calls `change` while no fault is answered and nothing is evicted in the process, and all that is dirty of the
    /// regions is in their stores, except what is pinned for devices: that is there as it was a moment ago. With that
    /// lock. Throws what writing may meet (ENOSPC, EIO), EAGAIN for a thread, and what `change` throws.
    void stand_still(std::span<Region* const> regions, const std::function<void()>& change);

    /// While everybody stands still: `to`, which nobody has used, has pages where `from` has them at home. Their stores
    /// share them already.
    void copy_words(const Region& from, const Region& to);

    // ---- the pager's threads

    /// Calls `change` while the pager has no thread (but that of a trace), and starts new ones after it: these have
    /// what the caller has by then, credentials and namespaces too. Under uffd_threads faults wait meanwhile, and so
    /// `change` must not touch managed memory; it must not throw. Throws what stopping may meet; where new threads are
    /// refused the pager does without them, or ends the process under uffd_threads.
    void without_threads(const std::function<void()>& change);

    // ---- fork, for pagers that children inherit: forking.hpp says when each is called

    void lock_for_fork();
    void unlock_after_fork() noexcept;
    /// Failing is logged, and the child then has nothing.
    void prepare_fork() noexcept;
    void go_on_in_parent() noexcept;
    /// First of all, for every pager, before anything is mapped.
    void close_in_child() noexcept;
    /// Throws std::system_error: then the child must end.
    void start_in_child();

    /// False in a child that was forked after the pager was made: then nothing of it may be used.
    [[nodiscard]] bool in_owner_process() const noexcept;

private:
    friend class Housekeeper;
    friend class AsyncReader;

    Pager(const Config& config, const mmu::ChosenDelivery& chosen, std::unique_ptr<store::StoreFactory> stores,
          std::unique_ptr<mmu::Mapper> mapper);

    /// A page, and where it is seen if that is not where it is.
    struct Place {
        Region& region;
        std::uint64_t page;
        const Region* view = nullptr;
        std::uint64_t view_page = 0;

        /// What the program may do there, of a page whose word is `seen`.
        [[nodiscard]] Access access(core::PageWord seen) const FAULTLINE_SIGNAL_SAFE {
            return view != nullptr ? view->load(view_page).protection() : region.access_to(page, seen);
        }
    };

    /// One fault on its way through `resolve`.
    struct Work : Place {
        const core::PageFault& fault;
        std::uint64_t started;  // ticks
        FaultKind kind = FaultKind::none;

        [[nodiscard]] bool write() const noexcept { return fault.access == core::FaultAccess::write; }
        /// The mask of what comes in writable with a window: the page, if it is written to.
        [[nodiscard]] std::uint64_t writable_in(PageWindow window) const noexcept {
            return write() ? window.bit_of(page) : 0;
        }
    };
    /// Pages that are looked at for one read, when many are wanted.
    static constexpr std::uint64_t kMostWantedAtOnce = 64;

    /// What a step came to; nothing means that the page changed under it: look again.
    using Step = std::optional<core::FaultOutcome>;

    [[nodiscard]] Place place_of(Region& region, std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] core::FaultOutcome resolve_in(Work& work) FAULTLINE_SIGNAL_SAFE;
    void account(const Work& work) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool forbidden(const Work& work, core::PageWord seen) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Step wait_for_owner(Work& work, core::PageWord seen) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Step allow_access(Work& work, core::PageWord seen) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Step bring_in(Work& work, core::PageWord seen) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Step take_back(Work& work, core::PageWord seen) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool take_over(Work& work, core::PageWord seen, FrameReservation& frames) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] core::FaultOutcome fill_with_zeros(Work& work, FrameReservation frames) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] core::FaultOutcome fill_from_store(Work& work, core::PageWord seen,
                                                     FrameReservation frames) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Fill claim_ahead(Region& region, core::PageRange range, bool for_writing) FAULTLINE_SIGNAL_SAFE;
    void begin_wanted(const AsyncReader::Wanted& wanted) noexcept;
    void finish_fill(Fill& fill, std::span<const std::byte> bytes) noexcept;
    void come_ahead(Fill& fill, int error) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] core::FaultOutcome mapped_or_given_up(Work& work, Fill& fill, int error) FAULTLINE_SIGNAL_SAFE;
    void tell_of_failure(const Work& work, const Event& event) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] core::FaultOutcome not_now(Work& work, int error) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] core::FaultOutcome give_up(Work& work, core::PageState back_to, Event::Kind reason,
                                             int error) FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] FrameReservation reserve_frames(Work& work) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool reclaim_for(std::int64_t units) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool reserve_within(std::int64_t units, std::chrono::nanoseconds pause) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Reclaimed reclaim_directly(std::int64_t units) FAULTLINE_SIGNAL_SAFE;
    void wake_evictor_when_low() FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] policy::PrefetchWindow wanted_beside(const Work& work, policy::PrefetchFault::Kind kind,
                                                       std::uint32_t at_once, bool left_lately) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] PageWindow claim_beside(const Work& work, const policy::PrefetchWindow& wanted,
                                          core::PageState absent, Access access,
                                          FrameReservation& frames) FAULTLINE_SIGNAL_SAFE;
    void want_in_background(Region& region, const policy::PrefetchWindow& wanted) FAULTLINE_SIGNAL_SAFE;

    // Control path.
    void require_owner_process() const;
    void watch_staging();
    void watch_fence(const sys::Mapping& mapping, bool write_protect);
    void apply_limit(std::size_t bytes, std::size_t largest_page);
    [[nodiscard]] int pin_page(Region& region, std::uint64_t page, PinFor purpose) noexcept;
    [[nodiscard]] std::uint64_t reserve_pins(const Region& region, std::uint64_t wanted, PinAmount amount) noexcept;
    [[nodiscard]] bool discard_piece(Region& region, core::PageRange range, DiskSpace space);
    static constexpr std::uint64_t kMostMovedAtOnce = 64;
    [[nodiscard]] bool bring_in_for_writing(Region& region, core::PageRange range);
    [[nodiscard]] std::uint64_t move_some(Region& region, core::PageRange from, std::uint64_t to);
    [[nodiscard]] bool claim_to_move(Region& region, std::uint64_t from, std::uint64_t to,
                                     core::PageWord& was) FAULTLINE_SIGNAL_SAFE;
    void leave_behind(Region& region, std::uint64_t page, core::PageWord was) FAULTLINE_SIGNAL_SAFE;
    template <typename Edge>
    void change_words(Region& region, core::PageRange range, Edge edge);
    void set_protection(Region& region, core::PageRange range, Access access);
    [[nodiscard]] static bool any_executable(const Region& region, core::PageRange range);
    void show_resident(Region& region, core::PageRange range, Access access, bool executable);
    void close_view(const Region& region, core::PageRange range);
    using EditViews = std::function<void(std::vector<mmu::AddressSpan>& regions, std::vector<mmu::SharedView>& views)>;
    void change_views(const EditViews& edit);
    void forget_shared(const Region& region);
    void take_views(const Region& region, core::PageRange range);
    void close_views(Region& region, core::PageRange range);
    void set_access_of_views(Region& region, core::PageRange range, Access access);
    void show_again(Region& shared, core::PageRange range);
    [[nodiscard]] std::vector<mmu::SharedView> all_views() const;
    void map_views_again();
    void set_access_again(Region& region, core::PageRange range);
    [[nodiscard]] static bool any_unwritten(const Region& region, core::PageRange range);
    [[nodiscard]] static bool any_pinned(const Region& region, core::PageRange range);
    [[nodiscard]] int pin_at(const Place& place, PinFor purpose, std::uintptr_t address) noexcept;
    Reclaimed evict_now(Region& region, core::PageRange range);
    void evict_all(Region& region, core::PageRange range);
    static void outwait_writes(const Region& region, core::PageRange range);
    [[nodiscard]] bool any_resident(Region& region, core::PageRange range) const;
    static void wait_until_settled(const Region& region, core::PageRange range);
    void forget_pages(Region& region);
    [[nodiscard]] bool keep_house(store::WriteQueue& queue);
    void wake_to_return_space() FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::optional<std::chrono::nanoseconds> time_to_next_message() { return log_.time_to_drain(); }
    void say_messages() { log_.drain(); }
    [[nodiscard]] std::int64_t frames_to_keep_free() FAULTLINE_SIGNAL_SAFE;
    void evict_ahead(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    void report_later_handler();
    void start_taking_signals();
    [[nodiscard]] unsigned handler_threads() const;
    [[nodiscard]] std::chrono::nanoseconds fault_patience() const;
    void start_threads();
    void start_fault_threads();
    void stop_threads();
    void start_threads_again();
    void open_userfaultfd_in_child();
    void write_everything(store::WriteQueue& queue);
    [[nodiscard]] int clean_all(Region& region, store::WriteQueue& queue);
    void write_regions(std::span<Region* const> regions, store::WriteQueue& queue);
    void set_access_again(Region& region);
    void leave_pages_behind(Region& region, std::vector<core::PageRef>& pinned);
    void bring_pinned_back(core::PageRef page);

    Config config_;
    unsigned generation_;  // of the process that made or inherited the pager
    bool fork_prepared_ = false;
    std::unique_ptr<StandstillWriter> fork_writer_;  // from before fork until after it
    EventLog log_;
    std::unique_ptr<store::StoreFactory> stores_;
    bool takes_faults_;                     // by its own mapper and fault source
    std::optional<sys::Userfaultfd> uffd_;  // not under Delivery::sigsegv
    std::unique_ptr<mmu::Mapper> mapper_owner_;
    mmu::Mapper& mapper_;
    FrameBudget budget_;
    FrameTable frames_;
    Staging staging_;
    RegionDirectory regions_;
    ProgressGuard guard_;
    Evictor evictor_;
    SharedFrames shared_frames_;
    Filler filler_;
    LatencyRecorder latencies_;
    std::unique_ptr<FaultTrace> trace_;  // null unless faults are recorded
    Counters counters_;                  // what belongs to no region
    // The evictor's answer, for faults to see whether it is to be woken.
    std::atomic<std::int64_t> keep_free_{0};

    sys::FutexLock streams_lock_;
    policy::PrefetchStreams streams_;  // guarded by streams_lock_
    sys::Mapping zeros_;               // never written: the kernel's zero page, over and over

    // Read by faults, set by apply_limit.
    std::atomic<std::size_t> limit_bytes_{0};
    std::atomic<std::int64_t> most_kept_free_{0};
    std::atomic<std::size_t> staging_target_{0};
    std::atomic<std::size_t> direct_batch_{1};
    std::atomic<bool> frames_are_few_{false};
    std::atomic<std::int64_t> pinnable_units_{0};  // what is left beside kMinimumPages pages; read by pins

    mutable std::mutex changing_views_;  // one change of mapper_.views() at a time; no other lock is taken with it
    std::mutex control_;                 // guards regions coming and going, the limit, and `gone_`
    PageSizes page_sizes_;               // of the regions; guarded by control_
    RegionStats gone_;
    std::atomic<std::int64_t> pinned_units_{0};

    std::optional<mmu::SignalFaultSource> signal_source_;
    std::atomic<bool> later_handler_reported_{false};
    std::unique_ptr<AsyncReader> async_reader_;  // null without io_uring; ends after the handler threads
    std::unique_ptr<mmu::UffdThreadSource> thread_source_;
    std::unique_ptr<sys::DescriptorKeeper> keeper_;  // of the userfaultfd, where no handler threads keep it
    std::unique_ptr<Housekeeper> housekeeper_;
};

}  // namespace faultline::detail
