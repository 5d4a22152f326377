// PageLedger: what every page of a test must hold, kept in ordinary memory where no pager can spoil it. One word per
// page: how often it was written, and whether someone is writing it now.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace faultline::demo {

/// Any number of threads. A page has one writer at a time; readers never wait: a seqlock (Boehm, "Can seqlocks get
/// along with programming language memory models?", MSPC 2012). It relies on the page's words being written with
/// release and read with acquire order: whoever sees a new word and then looks here sees that its write has begun.
class PageLedger {
public:
    /// A page's entry at one moment.
    struct Entry {
        std::uint32_t counter = 0;  ///< Completed writes; 0: never written.
        bool writing = false;       ///< Being brought to `next(counter)`.

        bool operator==(const Entry&) const = default;
    };

    explicit PageLedger(std::size_t pages) : entries_{std::make_unique<std::atomic<std::uint32_t>[]>(pages)} {}

    /// The counter after `counter`. Skips 0, which stands for "never written".
    [[nodiscard]] static constexpr std::uint32_t next(std::uint32_t counter) noexcept {
        return counter + 1 == kWriting ? 1 : counter + 1;
    }

    /// The entry before or after a reader looks at the page.
    [[nodiscard]] Entry look(std::size_t page) const noexcept {
        return unpack(entries_[page].load(std::memory_order_acquire));
    }

    /// Makes the caller the page's writer and returns its counter; nothing when there is a writer already.
    [[nodiscard]] std::optional<std::uint32_t> begin_write(std::size_t page) noexcept {
        std::uint32_t entry = entries_[page].load(std::memory_order_relaxed);
        if ((entry & kWriting) != 0) return std::nullopt;
        if (!entries_[page].compare_exchange_strong(entry, entry | kWriting, std::memory_order_acquire)) {
            return std::nullopt;
        }
        return entry;
    }

    /// The writer has put the contents of `counter` into the page.
    void end_write(std::size_t page, std::uint32_t counter) noexcept {
        entries_[page].store(counter, std::memory_order_release);
    }

private:
    static constexpr std::uint32_t kWriting = std::uint32_t{1} << 31;

    static Entry unpack(std::uint32_t entry) noexcept { return {entry & ~kWriting, (entry & kWriting) != 0}; }

    std::unique_ptr<std::atomic<std::uint32_t>[]> entries_;
};

}  // namespace faultline::demo
