// ReadAhead: chooses pages that come in before a thread asks for them. A fault brings its neighbours along when
// PrefetchStreams sees a walk; the program asks by advice (willneed). Reads for which no fault waits go to AsyncReader.
#pragma once

#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "pager/core.hpp"
#include "pager/fault/async_reader.hpp"
#include "pager/fault/page_fill.hpp"
#include "policy/prefetch_streams.hpp"
#include "sys/futex_lock.hpp"

#include <cstdint>
#include <memory>

namespace faultline::pager {

class ReadAhead final : public PrefetchStarter {
public:
    explicit ReadAhead(FillContext& context) noexcept : context_{context}, core_{context.core} {}

    // ---- for a fault. Signal-safe; the caller is a reader and has signals blocked

    /// Claims untouched neighbours into `fill`, where the program fills memory in order. `seen`: the page's word.
    void claim_untouched_neighbours(PageFill& fill, const FaultedPage& faulted,
                                    core::PageWord seen) FAULTLINE_SIGNAL_SAFE;

    /// Claims stored neighbours into `fill`, as many as one read brings in; requests later pages of the walk in the
    /// background.
    void claim_stored_neighbours(PageFill& fill, const FaultedPage& faulted, core::PageWord seen) FAULTLINE_SIGNAL_SAFE;

    /// Null where the kernel refuses io_uring, and while the pager has no threads.
    [[nodiscard]] AsyncReader* reader() const FAULTLINE_SIGNAL_SAFE { return reader_.get(); }

    // ---- for the program. Control path, in the process that owns the pager

    /// Brings in stored pages of the range, as far as free frames reach.
    void prefetch(Region& region, core::PageRange range);
    /// Starts to bring them in, in the background where there is a reader thread.
    void prefetch_async(Region& region, core::PageRange range);
    /// Blocks until every prefetch of the range that began before the call has finished or is given up.
    void wait_for_prefetch(Region& region, core::PageRange range);

    void begin_prefetch(const PrefetchRequest& request) noexcept override;

    // ---- the reader thread comes and goes, at a standstill

    void set_reader(std::unique_ptr<AsyncReader> reader) noexcept { reader_ = std::move(reader); }
    [[nodiscard]] std::unique_ptr<AsyncReader> take_reader() noexcept { return std::move(reader_); }
    /// Drops all requests and blocks until no read is in flight.
    void drain() noexcept {
        if (reader_) reader_->drain();
    }

private:
    [[nodiscard]] policy::PrefetchWindow choose(const FaultedPage& faulted, policy::PrefetchFault::Kind kind,
                                                std::uint32_t at_once, bool left_lately) FAULTLINE_SIGNAL_SAFE;
    void claim(PageFill& fill, const FaultedPage& faulted, const policy::PrefetchWindow& wanted, core::PageState absent,
               Access access) FAULTLINE_SIGNAL_SAFE;
    void request(Region& region, const policy::PrefetchWindow& wanted) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] PageFill claim_range(Region& region, core::PageRange range, bool for_writing) FAULTLINE_SIGNAL_SAFE;

    FillContext& context_;
    PagerCore& core_;
    sys::FutexLock streams_lock_;
    policy::PrefetchStreams streams_;  // guarded by streams_lock_
    std::unique_ptr<AsyncReader> reader_;
};

}  // namespace faultline::pager
