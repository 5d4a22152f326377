#include "trace/fault_trace.hpp"

#include "core/units.hpp"
#include "sys/futex.hpp"

#include <exception>

namespace faultline::trace {

FaultTrace::FaultTrace(std::filesystem::path path, Log log, std::size_t waiting)
    : path_{std::move(path)},
      log_{std::move(log)},
      faults_{waiting},
      writer_{path_, static_cast<std::uint32_t>(core::kUnitBytes)} {}

FaultTrace::~FaultTrace() {
    stopping_.store(true);
    news_.store(1);
    sys::futex_wake(news_, 1);
    if (thread_) thread_->join();
    drain();
    finish();
}

void FaultTrace::start() {
    thread_.emplace("fl-trace", "see `ulimit -u`, or leave Config::trace_file empty", [this] { run(); });
}

void FaultTrace::record(const std::byte* page, bool write) FAULTLINE_SIGNAL_SAFE {
    if (!recording_.load(std::memory_order_relaxed)) return;
    const auto address = reinterpret_cast<std::uintptr_t>(page);
    if (lost() > 0 || !faults_.put({address / core::kUnitBytes, write})) {
        lost_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    if (news_.load(std::memory_order_relaxed) == 0 && news_.exchange(1) == 0) sys::futex_wake(news_, 1);
}

void FaultTrace::run() noexcept {
    while (!stopping_.load()) {
        if (news_.exchange(0) == 0) {
            sys::futex_wait(news_, 0);
            continue;
        }
        drain();
    }
}

void FaultTrace::drain() noexcept {
    if (!recording_.load()) return;
    try {
        while (const std::optional<Fault> fault = faults_.take()) writer_.append(fault->page, fault->write);
    } catch (const std::exception& error) {
        recording_.store(false);
        log_(LogLevel::error, std::string{error.what()} + "; recording stops, and the trace file is incomplete");
    }
}

void FaultTrace::finish() noexcept {
    if (!recording_.load()) return;
    try {
        writer_.finish(lost());
        if (lost() == 0) return;
        log_(LogLevel::warning, "the trace " + path_.string() + " ends after " + std::to_string(writer_.records()) +
                                    " faults: " + std::to_string(lost()) +
                                    " more were lost, because they came faster than they could be written");
    } catch (const std::exception& error) {
        log_(LogLevel::error, std::string{error.what()} + "; the trace file is incomplete");
    }
}

}  // namespace faultline::trace
