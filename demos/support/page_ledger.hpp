// PageLedger: what every page of a test must hold, in ordinary memory that no pager can damage. One word per page: how
// often it was written, and whether a thread is writing it now.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace faultline::demo {

/// Any number of threads. A page has one writer at a time, and readers never wait: a seqlock (Boehm, "Can seqlocks get
/// along with programming language memory models?", MSPC 2012). The page's words must be written with release and read
/// with acquire order: then a reader that sees a new word also sees, in the ledger, that the write has begun.
class PageLedger {
public:
    /// A page's entry at one moment.
    struct Entry {
        std::uint32_t counter = 0;  ///< Completed writes; 0: never written.
        bool writing = false;       ///< `next(counter)` is being written.

        bool operator==(const Entry&) const = default;
    };

    explicit PageLedger(std::size_t pages) : entries_{std::make_unique<std::atomic<std::uint32_t>[]>(pages)} {}

    /// Returns the counter after `counter`. Skips 0, which means "never written".
    [[nodiscard]] static constexpr std::uint32_t next(std::uint32_t counter) noexcept {
        return counter + 1 == kWriting ? 1 : counter + 1;
    }

    /// Returns a page's entry. Readers call it before and after they read the page.
    [[nodiscard]] Entry look(std::size_t page) const noexcept {
        return unpack(entries_[page].load(std::memory_order_acquire));
    }

    /// Makes the caller the page's writer and returns its counter; returns nothing if the page has a writer.
    [[nodiscard]] std::optional<std::uint32_t> begin_write(std::size_t page) noexcept {
        std::uint32_t entry = entries_[page].load(std::memory_order_relaxed);
        if ((entry & kWriting) != 0) return std::nullopt;
        if (!entries_[page].compare_exchange_strong(entry, entry | kWriting, std::memory_order_acquire)) {
            return std::nullopt;
        }
        return entry;
    }

    /// Ends a write: the page holds the contents of `counter`.
    void end_write(std::size_t page, std::uint32_t counter) noexcept {
        entries_[page].store(counter, std::memory_order_release);
    }

private:
    static constexpr std::uint32_t kWriting = std::uint32_t{1} << 31;

    static Entry unpack(std::uint32_t entry) noexcept { return {entry & ~kWriting, (entry & kWriting) != 0}; }

    std::unique_ptr<std::atomic<std::uint32_t>[]> entries_;
};

}  // namespace faultline::demo
