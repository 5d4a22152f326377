#include "storm/sweep.hpp"

#include "display/bars.hpp"
#include "display/format.hpp"
#include "support/live_line.hpp"
#include "support/thread_group.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

namespace faultline::demo::storm {
namespace {

/// Hands out the pages in runs, so that one thread visits neighbouring pages.
class PageQueue {
public:
    explicit PageQueue(std::size_t pages) : pages_{pages} {}

    struct Run {
        std::size_t first = 0;
        std::size_t end = 0;
    };

    /// Returns the next run; an empty one after the last.
    Run take() {
        constexpr std::size_t kRun = 64;
        const std::size_t first = std::min(next_.fetch_add(kRun, std::memory_order_relaxed), pages_);
        return {first, std::min(first + kRun, pages_)};
    }

    void stop() { next_.store(pages_, std::memory_order_relaxed); }

    void finished_one() { finished_.fetch_add(1, std::memory_order_relaxed); }
    [[nodiscard]] std::size_t finished() const { return finished_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::size_t pages() const { return pages_; }

private:
    std::size_t pages_;
    std::atomic<std::size_t> next_{0};
    std::atomic<std::size_t> finished_{0};
};

void show_sweep(LiveLine& line, const std::string& title, const PageQueue& queue, double seconds) {
    const auto done = static_cast<double>(queue.finished());
    const double fraction = done / static_cast<double>(queue.pages());
    const std::string text = display::printed("%s %3.0f%%  %5s pages/s", title.c_str(), fraction * 100,
                                              display::format_rate(seconds > 0 ? done / seconds : 0).c_str());
    line.show(text, [&](std::size_t columns) { return display::progress_bar(line.terminal(), fraction, columns); });
}

}  // namespace

std::size_t sweep(LiveLine& line, const std::string& title, std::size_t pages, unsigned threads,
                  const std::function<void(std::size_t)>& visit, const std::function<bool()>& stop) {
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    PageQueue queue{pages};
    const auto work = [&](unsigned) {
        for (auto run = queue.take(); run.first < run.end; run = queue.take()) {
            for (std::size_t page = run.first; page < run.end; ++page) {
                if (stop()) return;
                visit(page);
                queue.finished_one();
            }
        }
    };
    ThreadGroup group{threads, work, [&] { queue.stop(); }};
    while (!group.wait_for(LiveLine::tick())) {
        if (line.due()) show_sweep(line, title, queue, std::chrono::duration<double>(Clock::now() - start).count());
    }
    group.join();
    line.clear();
    return queue.finished();
}

}  // namespace faultline::demo::storm
