// Visitors: threads that read and rewrite random pages until they are stopped. swap_storm starts them.
#pragma once

#include "storm/checked_pages.hpp"
#include "storm/options.hpp"
#include "support/random.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace faultline::demo::storm {

/// Numbers of visits.
struct Visits {
    std::uint64_t reads = 0;
    std::uint64_t rewrites = 0;
    std::uint64_t occupied = 0;  ///< Visits skipped, because another thread was rewriting the page.

    [[nodiscard]] std::uint64_t done() const noexcept { return reads + rewrites; }
};

/// `visit` is the body of thread `index`. Any thread may call `stop` and `visits`.
class Visitors {
public:
    Visitors(CheckedPages& pages, const Options& options)
        : pages_{pages}, mode_{options.mode}, seed_{options.seed}, counts_(options.threads) {}

    void visit(unsigned index) {
        // Not the seed itself, from which contents are made.
        Random random{mix64(seed_) + index};
        Counts& counts = counts_[index];
        while (!stopped_.load(std::memory_order_relaxed)) {
            const auto page = static_cast<std::size_t>(random.below(pages_.count()));
            const bool reads = mode_ == Mode::read || (mode_ == Mode::read_write && random.coin());
            if (reads) {
                pages_.read(page);
                count(counts.reads);
            } else {
                count(pages_.rewrite(page, approach()) ? counts.rewrites : counts.occupied);
            }
        }
    }

    void stop() noexcept { stopped_.store(true, std::memory_order_relaxed); }

    [[nodiscard]] Visits visits() const noexcept {
        Visits sum;
        for (const Counts& counts : counts_) {
            sum.reads += counts.reads.load(std::memory_order_relaxed);
            sum.rewrites += counts.rewrites.load(std::memory_order_relaxed);
            sum.occupied += counts.occupied.load(std::memory_order_relaxed);
        }
        return sum;
    }

private:
    /// One thread writes, others read. It has a cache line of its own, so that counting costs nothing.
    struct alignas(64) Counts {
        std::atomic<std::uint64_t> reads{0};
        std::atomic<std::uint64_t> rewrites{0};
        std::atomic<std::uint64_t> occupied{0};
    };

    static void count(std::atomic<std::uint64_t>& counter) noexcept {
        counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }

    [[nodiscard]] CheckedPages::Approach approach() const noexcept {
        return mode_ == Mode::write ? CheckedPages::Approach::writing : CheckedPages::Approach::reading;
    }

    CheckedPages& pages_;
    Mode mode_;
    std::uint64_t seed_;
    std::vector<Counts> counts_;
    std::atomic<bool> stopped_{false};
};

}  // namespace faultline::demo::storm
