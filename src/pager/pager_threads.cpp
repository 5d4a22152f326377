// The pager's threads: started with it, stopped for a moment and started again, and started in a child of fork.

#include "core/check.hpp"
#include "pager/pager.hpp"
#include "pager/standstill.hpp"
#include "sys/cpu.hpp"

#include <csignal>
#include <exception>
#include <string>
#include <utility>

namespace faultline::detail {

void Pager::start_taking_signals() {
    if (config_.delivery == Delivery::uffd_signal) signal_source_.emplace(SIGBUS, &Pager::resolve, &Pager::report);
    if (config_.delivery == Delivery::sigsegv) signal_source_.emplace(SIGSEGV, &Pager::resolve, &Pager::report);
}

unsigned Pager::handler_threads() const {
    return config_.handler_threads == 0 ? sys::allowed_cpus() : config_.handler_threads;
}

/// A fault may wait for room on a full disk for as long as it was told to.
std::chrono::nanoseconds Pager::fault_patience() const {
    return mmu::UffdThreadSource::kHandlerPatience + config_.full_disk_patience;
}

void Pager::start_threads() {
    if (takes_faults_) async_reader_ = AsyncReader::start(*this, handler_threads(), fault_patience());
    start_fault_threads();
    if (config_.background_evictor) housekeeper_ = std::make_unique<Housekeeper>(*this);
    stores_->set_background_return(housekeeper_ != nullptr);
}

void Pager::start_fault_threads() {
    if (takes_faults_ && config_.delivery == Delivery::uffd_threads) {
        thread_source_ = std::make_unique<mmu::UffdThreadSource>(*uffd_, mapper_, handler_threads(), &Pager::resolve,
                                                                 fault_patience());
    } else if (uffd_) {
        keeper_ = std::make_unique<sys::DescriptorKeeper>(uffd_->fd());
        uffd_->set_stand_in(keeper_.get());
    }
}

void Pager::without_threads(const std::function<void()>& change) {
    require_owner_process();
    const std::lock_guard lock{control_};
    stop_threads();
    change();
    try {
        start_threads_again();
    } catch (const std::exception& error) {
        if (config_.delivery == Delivery::uffd_threads && !thread_source_) {
            core::fatal(error.what(), __FILE__, __LINE__);  // every fault would wait for ever
        }
        log_.say(LogLevel::warning, std::string("the pager goes on without its own threads: ") + error.what());
    }
}

/// Faults find no thread to leave work to once the pointers are empty; the threads end after that.
void Pager::stop_threads() {
    if (uffd_) uffd_->set_stand_in(nullptr);
    thread_source_.reset();
    keeper_.reset();
    std::unique_ptr<AsyncReader> reader;
    std::unique_ptr<Housekeeper> housekeeper;
    const Standstill still;
    if (async_reader_) async_reader_->drain();
    reader = std::move(async_reader_);
    housekeeper = std::move(housekeeper_);
    stores_->set_background_return(false);
}

void Pager::start_threads_again() {
    start_fault_threads();
    std::unique_ptr<AsyncReader> reader;
    std::unique_ptr<Housekeeper> housekeeper;
    if (takes_faults_) reader = AsyncReader::start(*this, handler_threads(), fault_patience());
    if (config_.background_evictor) housekeeper = std::make_unique<Housekeeper>(*this);
    const Standstill still;
    async_reader_ = std::move(reader);
    housekeeper_ = std::move(housekeeper);
    stores_->set_background_return(housekeeper_ != nullptr);
    wake_to_return_space();
}

}  // namespace faultline::detail
