// Progress: the current phase of sort_file and how far it is. The sorting thread writes it, and a Ticker's thread shows
// it, without ever stopping the sorting thread.
#pragma once

#include "support/interrupt.hpp"
#include "support/live_line.hpp"
#include "support/stats_math.hpp"

#include <faultline/pager.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace faultline::demo::sort {

/// One thread writes, others read; all accesses are relaxed. `phase` names must be literals.
class Progress {
public:
    /// Begins a phase of about `total` steps; 0: unknown.
    void begin(const char* phase, std::uint64_t total) noexcept {
        done_.store(0, std::memory_order_relaxed);
        total_.store(total, std::memory_order_relaxed);
        phase_.store(phase, std::memory_order_relaxed);
    }

    /// Counts steps. Throws Interrupted after SIGINT or SIGTERM, which ends long work early.
    void advance(std::uint64_t steps = 1) {
        done_.store(done_.load(std::memory_order_relaxed) + steps, std::memory_order_relaxed);
        throw_if_interrupted();
    }

    [[nodiscard]] const char* phase() const noexcept { return phase_.load(std::memory_order_relaxed); }

    /// Returns the fraction done, at most 0.99 before the phase ends: some totals are estimates.
    [[nodiscard]] double fraction() const noexcept {
        const auto total = static_cast<double>(total_.load(std::memory_order_relaxed));
        return total > 0 ? std::min(static_cast<double>(done_.load(std::memory_order_relaxed)) / total, 0.99) : 0;
    }

private:
    std::atomic<const char*> phase_{"start"};
    std::atomic<std::uint64_t> done_{0};
    std::atomic<std::uint64_t> total_{0};
};

/// Shows progress from a thread of its own while it lives.
class Ticker {
public:
    Ticker(const Progress& progress, const Pager& pager, LiveLine& line);
    ~Ticker();
    Ticker(const Ticker&) = delete;
    Ticker& operator=(const Ticker&) = delete;

private:
    void run();
    void show(const RateWindow::Rates& rates);

    const Progress& progress_;
    const Pager& pager_;
    LiveLine& line_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    std::mutex mutex_;  // guards `over_`
    std::condition_variable wake_;
    bool over_ = false;
    std::thread thread_;  // declared last: it uses all fields above
};

}  // namespace faultline::demo::sort
