// FaultDelivery: how the faults of one pager arrive: its userfaultfd, signal handler and handler threads. The fault
// sources themselves are in src/mmu.
#pragma once

#include "mmu/mappers.hpp"
#include "mmu/signal_fault_source.hpp"
#include "mmu/uffd_thread_source.hpp"
#include "mmu/view_registry.hpp"
#include "pager/core.hpp"
#include "sys/descriptor_keeper.hpp"
#include "sys/userfaultfd.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>

namespace faultline::pager {

/// Control path.
class FaultDelivery {
public:
    /// Opens the userfaultfd, if `delivery` needs one. No delivery: the caller brings faults to `resolve_fault` itself.
    /// Throws std::system_error.
    FaultDelivery(std::optional<Delivery> delivery, ForkPolicy fork);
    ~FaultDelivery();
    FaultDelivery(const FaultDelivery&) = delete;
    FaultDelivery& operator=(const FaultDelivery&) = delete;

    [[nodiscard]] bool takes_faults() const noexcept { return takes_faults_; }
    /// Null under Delivery::sigsegv.
    [[nodiscard]] sys::Userfaultfd* userfaultfd() noexcept { return uffd_ ? &*uffd_ : nullptr; }

    /// Returns the mappers that belong to the delivery. Throws std::system_error.
    [[nodiscard]] std::unique_ptr<mmu::Mappers> make_mappers(Eviction eviction, const mmu::ViewRegistry& views);

    /// Installs the signal handler, if `delivery` needs one. Throws std::system_error.
    void start_signals(Delivery delivery);

    void stop_signals() noexcept { signal_source_.reset(); }

    /// Starts `handlers` handler threads, or what keeps the userfaultfd open without them. A fault that takes longer
    /// than `patience` ends the process. Throws std::system_error.
    void start_threads(const PagerCore& core, unsigned handlers, std::chrono::nanoseconds patience);
    /// Joins the threads. Faults that need one wait in the kernel meanwhile.
    void stop_threads() noexcept;
    [[nodiscard]] bool has_threads() const noexcept { return thread_source_ != nullptr; }

    /// In a child of fork: forgets the parent's threads, which cannot be joined here.
    void forget_parents_threads() noexcept;
    /// In a child of fork that inherits the pager: opens a userfaultfd of its own. A child that may not have handler
    /// threads takes its faults by signal, and says so in the log. Throws std::system_error.
    void open_in_child(PagerCore& core);

    /// Logs, once for each time, that the program has installed a signal handler in front of ours.
    void report_later_handler(EventLog& log);

private:
    bool takes_faults_;
    std::optional<sys::Userfaultfd> uffd_;
    std::optional<mmu::SignalFaultSource> signal_source_;
    std::atomic<bool> later_handler_reported_{false};
    std::unique_ptr<mmu::UffdThreadSource> thread_source_;
    std::unique_ptr<sys::DescriptorKeeper> keeper_;  // of the userfaultfd, where no handler threads keep it
};

}  // namespace faultline::pager
