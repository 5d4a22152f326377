// CheckedPages: a region of which every byte is predictable. All accesses of swap_storm to managed memory are here.
#pragma once

#include "support/live_line.hpp"
#include "support/page_ledger.hpp"
#include "support/page_pattern.hpp"

#include <faultline/region.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace faultline::demo::storm {

/// Any number of threads may call it. The region and the line must outlive it.
class CheckedPages {
public:
    /// How a rewriting visit begins: with a read, or with a write.
    enum class Approach : std::uint8_t { reading, writing };

    CheckedPages(const Region& region, std::uint64_t seed, LiveLine& line)
        : memory_{region.data()},
          page_bytes_{region.page_size()},
          count_{region.size() / region.page_size()},
          pattern_{seed, region.page_size()},
          ledger_{count_},
          known_wrong_{std::make_unique<std::atomic<bool>[]>(count_)},
          line_{line} {}

    [[nodiscard]] std::size_t count() const noexcept { return count_; }

    /// Returns the number of wrong contents found. The same wrong contents of a page count once.
    [[nodiscard]] std::uint64_t mismatches() const noexcept { return mismatches_.load(std::memory_order_relaxed); }

    /// Checks a page, even while another thread rewrites it.
    void read(std::size_t page) {
        for (;;) {
            const PageLedger::Entry before = ledger_.look(page);
            const PageFindings findings = check(page, before);
            if (findings.ok()) return;
            const PageLedger::Entry after = ledger_.look(page);
            // Contents are wrong only if no writer explains them: no write happened during the check, or exactly one
            // write that has ended since. Otherwise the page has changed, so check again.
            const bool same_write = before.writing && after == PageLedger::Entry{PageLedger::next(before.counter)};
            if (after != before && !same_write) continue;
            report(findings, page, before.counter, before.writing ? "seen during a rewrite" : "read");
            return;
        }
    }

    /// Checks a page and writes its next contents. Returns false and does nothing if another thread is writing it.
    bool rewrite(std::size_t page, Approach approach) {
        const auto counter = ledger_.begin_write(page);
        if (!counter) return false;
        if (approach == Approach::writing) pattern_.touch_for_writing(address(page), page, *counter);
        const PageFindings findings = pattern_.check(address(page), page, *counter);
        if (!findings.ok()) report(findings, page, *counter, "before a rewrite");
        const std::uint32_t next = PageLedger::next(*counter);
        pattern_.fill(address(page), page, next);
        known_wrong_[page].store(false, std::memory_order_relaxed);
        ledger_.end_write(page, next);
        return true;
    }

    /// Writes the first contents of a page. Call it once per page.
    void populate(std::size_t page) {
        const auto counter = ledger_.begin_write(page);
        if (!counter) return;
        const std::uint32_t next = PageLedger::next(*counter);
        pattern_.fill(address(page), page, next);
        ledger_.end_write(page, next);
    }

private:
    static constexpr std::uint64_t kReported = 8;  // more would hide the result

    [[nodiscard]] std::byte* address(std::size_t page) const noexcept { return memory_ + page * page_bytes_; }

    [[nodiscard]] PageFindings check(std::size_t page, PageLedger::Entry entry) const noexcept {
        if (!entry.writing) return pattern_.check(address(page), page, entry.counter);
        return pattern_.check_during_write(address(page), page, entry.counter, PageLedger::next(entry.counter));
    }

    void report(const PageFindings& findings, std::size_t page, std::uint32_t counter, const char* when) {
        if (known_wrong_[page].exchange(true, std::memory_order_relaxed)) return;
        if (mismatches_.fetch_add(1, std::memory_order_relaxed) >= kReported) return;
        line_.warn("MISMATCH (" + std::string{when} + ") " + findings.describe(page, counter));
    }

    std::byte* memory_;
    std::size_t page_bytes_;
    std::size_t count_;
    PagePattern pattern_;
    PageLedger ledger_;
    std::unique_ptr<std::atomic<bool>[]> known_wrong_;  // set by the first report, cleared by the next rewrite
    LiveLine& line_;
    std::atomic<std::uint64_t> mismatches_{0};
};

}  // namespace faultline::demo::storm
