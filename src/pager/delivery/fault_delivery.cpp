#include "pager/delivery/fault_delivery.hpp"

#include "mmu/protect_mappers.hpp"
#include "mmu/uffd_mappers.hpp"
#include "pager/fault/fault_entry.hpp"

#include <csignal>
#include <string>
#include <system_error>

namespace faultline::pager {

using sys::Userfaultfd;

FaultDelivery::FaultDelivery(std::optional<Delivery> delivery, ForkPolicy fork) : takes_faults_{delivery.has_value()} {
    if (!delivery || *delivery == Delivery::sigsegv) return;
    uffd_.emplace(
        *delivery == Delivery::uffd_threads ? Userfaultfd::Notify::by_message : Userfaultfd::Notify::by_sigbus,
        fork == ForkPolicy::inherit ? Userfaultfd::InChildren::opened_again : Userfaultfd::InChildren::not_used);
}

FaultDelivery::~FaultDelivery() {
    if (uffd_) uffd_->set_stand_in(nullptr);
}

std::unique_ptr<mmu::Mappers> FaultDelivery::make_mappers(Eviction eviction, const mmu::ViewRegistry& views) {
    if (!uffd_) return std::make_unique<mmu::ProtectMappers>(eviction, views);
    return std::make_unique<mmu::UffdMappers>(*uffd_, eviction, views);
}

void FaultDelivery::start_signals(Delivery delivery) {
    if (!takes_faults_) return;
    if (delivery == Delivery::uffd_signal) signal_source_.emplace(SIGBUS, &resolve_fault, &report_violation);
    if (delivery == Delivery::sigsegv) signal_source_.emplace(SIGSEGV, &resolve_fault, &report_violation);
}

void FaultDelivery::start_threads(const PagerCore& core, unsigned handlers, std::chrono::nanoseconds patience) {
    if (takes_faults_ && core.config.delivery == Delivery::uffd_threads) {
        thread_source_ =
            std::make_unique<mmu::UffdThreadSource>(*uffd_, core.mappers, handlers, &resolve_fault, patience);
    } else if (uffd_) {
        keeper_ = std::make_unique<sys::DescriptorKeeper>(uffd_->fd());
        uffd_->set_stand_in(keeper_.get());
    }
}

void FaultDelivery::stop_threads() noexcept {
    if (uffd_) uffd_->set_stand_in(nullptr);
    thread_source_.reset();
    keeper_.reset();
}

void FaultDelivery::forget_parents_threads() noexcept {
    static_cast<void>(thread_source_.release());
    static_cast<void>(keeper_.release());
    if (uffd_) uffd_->set_stand_in(nullptr);
}

void FaultDelivery::open_in_child(PagerCore& core) {
    if (!uffd_) return;
    try {
        return uffd_->open_again_in_child();
    } catch (const std::system_error& refusal) {
        // A process that has given up its privileges may not get what its parent had. The faults of its own threads
        // need no privilege.
        if (uffd_->notify() == Userfaultfd::Notify::by_sigbus) throw;
        core.log.say(
            LogLevel::warning,
            std::string("a child of fork takes its faults by uffd_signal instead of uffd_threads: ") + refusal.what());
    }
    uffd_.emplace(Userfaultfd::Notify::by_sigbus);
    core.config.delivery = Delivery::uffd_signal;
    core.regions.for_each([](Region& region) { region.forget_kernel_sleepers(); });
    start_signals(core.config.delivery);
}

void FaultDelivery::report_later_handler(EventLog& log) {
    if (!signal_source_) return;
    const bool in_front = signal_source_->in_front();
    if (later_handler_reported_.exchange(!in_front) || in_front) return;
    const char* const signal = signal_source_->signal() == SIGBUS ? "SIGBUS" : "SIGSEGV";
    log.say(LogLevel::warning, std::string("a handler of ") + signal +
                                   " was installed after the pager's: managed memory works only as long as it calls "
                                   "the handler that sigaction returned to it");
}

}  // namespace faultline::pager
