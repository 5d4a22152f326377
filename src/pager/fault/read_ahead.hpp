// ReadAhead: chooses pages to bring in before a thread accesses them. A fault brings in neighbours of its page if
// PrefetchStreams detects a walk, or if reading around saves faults (FaultAround). The program requests pages by advice
// (willneed). AsyncReader does the reads for which no fault waits.
#pragma once

#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "pager/core.hpp"
#include "pager/fault/async_reader.hpp"
#include "pager/fault/page_fill.hpp"
#include "policy/fault_around.hpp"
#include "policy/prefetch_streams.hpp"
#include "sys/futex_lock.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace faultline::pager {

class ReadAhead final : public PrefetchStarter {
public:
    explicit ReadAhead(FillContext& context) noexcept : context_{context}, core_{context.core} {}

    // ---- for a fault. Signal-safe; the caller is a reader and has signals blocked

    /// Adds untouched neighbours of the faulted page to `fill`, if the program fills memory in order. `seen` is the
    /// page's word.
    void claim_untouched_neighbours(PageFill& fill, const FaultedPage& faulted,
                                    core::PageWord seen) FAULTLINE_SIGNAL_SAFE;

    /// Adds stored neighbours of the faulted page to `fill`, as many as one read brings in. Requests later pages of the
    /// walk in the background.
    void claim_stored_neighbours(PageFill& fill, const FaultedPage& faulted, core::PageWord seen) FAULTLINE_SIGNAL_SAFE;

    /// Returns null where the kernel refuses io_uring, and while the pager has no threads.
    [[nodiscard]] AsyncReader* reader() const FAULTLINE_SIGNAL_SAFE { return reader_.load(std::memory_order_acquire); }

    // ---- for the program. Control path, in the process that owns the pager

    /// Brings in stored pages of the range until no frame is free.
    void prefetch(Region& region, core::PageRange range);
    /// Starts the same in the background, and returns. Without a reader thread it does the work itself.
    void prefetch_async(Region& region, core::PageRange range);
    /// Blocks until every prefetch of the range that began before the call has finished or is abandoned.
    void wait_for_prefetch(Region& region, core::PageRange range);

    void begin_prefetch(const PrefetchRequest& request) noexcept override;

    // ---- start and end of the reader thread. The caller serialises these

    /// There is no reader yet.
    void set_reader(std::unique_ptr<AsyncReader> reader) noexcept {
        owned_reader_ = std::move(reader);
        reader_.store(owned_reader_.get(), std::memory_order_release);
    }
    /// At a standstill, or when no thread can fault any more.
    [[nodiscard]] std::unique_ptr<AsyncReader> take_reader() noexcept {
        reader_.store(nullptr, std::memory_order_relaxed);
        return std::move(owned_reader_);
    }
    /// At a standstill: drops all requests and blocks until no read is in flight.
    void drain() noexcept {
        if (owned_reader_) owned_reader_->drain();
    }

private:
    [[nodiscard]] policy::PrefetchWindow choose(const FaultedPage& faulted, policy::PrefetchFault::Kind kind,
                                                std::uint32_t at_once, bool left_lately) FAULTLINE_SIGNAL_SAFE;
    void claim_block(PageFill& fill, const FaultedPage& faulted, Access access) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool claim_around(PageFill& fill, const FaultedPage& faulted, Access access) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool may_read_around(const FaultedPage& faulted) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool pays_around(const FaultedPage& faulted) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] PageWindow pages_around(const FaultedPage& faulted, std::uint64_t at) const FAULTLINE_SIGNAL_SAFE;
    void claim(PageFill& fill, const FaultedPage& faulted, const policy::PrefetchWindow& wanted, core::PageState absent,
               Access access) FAULTLINE_SIGNAL_SAFE;
    void request(Region& region, const policy::PrefetchWindow& wanted) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] PageFill claim_range(Region& region, core::PageRange range, bool for_writing) FAULTLINE_SIGNAL_SAFE;

    FillContext& context_;
    PagerCore& core_;
    sys::FutexLock streams_lock_;
    policy::PrefetchStreams streams_;  // guarded by streams_lock_
    policy::FaultAround around_;       // guarded by streams_lock_
    std::unique_ptr<AsyncReader> owned_reader_;
    std::atomic<AsyncReader*> reader_{nullptr};
};

}  // namespace faultline::pager
