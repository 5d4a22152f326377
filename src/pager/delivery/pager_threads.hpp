// PagerThreads: starts and stops the threads of one pager: handler threads, the reader thread, the housekeeper.
#pragma once

#include "pager/core.hpp"
#include "pager/delivery/fault_delivery.hpp"
#include "pager/evict/frame_reclaimer.hpp"
#include "pager/fault/read_ahead.hpp"

#include <chrono>
#include <functional>
#include <memory>

namespace faultline::pager {

/// Control path.
class PagerThreads final : public Housekeeping {
public:
    PagerThreads(PagerCore& core, FaultDelivery& delivery, FrameReclaimer& reclaimer, ReadAhead& read_ahead) noexcept
        : core_{core}, delivery_{delivery}, reclaimer_{reclaimer}, read_ahead_{read_ahead} {}

    ~PagerThreads() { end(); }
    PagerThreads(const PagerThreads&) = delete;
    PagerThreads& operator=(const PagerThreads&) = delete;

    /// Throws std::system_error.
    void start();

    /// In a child of fork: starts what faults cannot do without, and the housekeeper, which starts the rest when a
    /// fault first needs it (PutOffStart). Most children need no more before they end or run another program. Throws
    /// std::system_error.
    void start_in_child();

    /// Ends the threads and the signal handler for good. No region is left.
    void end() noexcept;

    /// Calls `change` while the pager has no thread (but that of a trace), and starts new ones after it: they have what
    /// the caller has by then, credentials and namespaces too. Under uffd_threads faults wait meanwhile, so `change`
    /// must not touch managed memory; it must not throw. Throws what stopping may meet. Where new threads are refused
    /// the pager goes on without them, or ends the process under uffd_threads.
    void run_without(const std::function<void()>& change);

    /// In a child of fork: forgets the parent's threads, which cannot be joined here.
    void forget_parents_threads() noexcept;

    [[nodiscard]] bool keep_house(store::WriteQueue& queue) override;
    [[nodiscard]] std::unique_ptr<store::WriteQueue> open_queue() noexcept override;

private:
    [[nodiscard]] unsigned handlers() const;
    [[nodiscard]] std::chrono::nanoseconds patience() const;
    [[nodiscard]] std::unique_ptr<AsyncReader> new_reader(sys::IoRing ring);
    [[nodiscard]] std::unique_ptr<Housekeeper> new_housekeeper(std::unique_ptr<store::WriteQueue> queue);
    [[nodiscard]] std::unique_ptr<store::WriteQueue> start_rest();
    void report_thrashing();
    void stop();
    void start_again();

    PagerCore& core_;
    FaultDelivery& delivery_;
    FrameReclaimer& reclaimer_;
    ReadAhead& read_ahead_;
};

}  // namespace faultline::pager
