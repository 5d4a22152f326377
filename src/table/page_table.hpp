// PageTable: the page words of one region, in a flat array. It costs 8 bytes per touched page; the rest is reserved
// address space. It changes words, and puts threads to sleep on them and wakes them. What the states mean is decided by
// core::PageWord and the pager; only the pager changes words.
//
// Memory order: loads acquire, changes release, so a thread that sees a new word sees what its writer did before.
#pragma once

#include "core/page_range.hpp"
#include "core/page_word.hpp"
#include "core/record_memory.hpp"
#include "core/signal_safe.hpp"
#include "sys/futex.hpp"
#include "sys/tracked_array.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::table {

class PageTable {
public:
    /// `records`: counts the memory of the words; may be null. Throws std::system_error (ENOMEM).
    explicit PageTable(std::uint64_t pages, core::RecordMemory* records = nullptr)
        : words_{pages, "a page table", records} {}

    [[nodiscard]] std::uint64_t pages() const noexcept { return words_.size(); }

    [[nodiscard]] core::PageWord load(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        return core::PageWord{words_[page].load(std::memory_order_acquire)};
    }

    /// Replaces the word by `next` if it still equals `seen`. On failure sets `seen` to the present word and returns
    /// false.
    [[nodiscard]] bool try_change(std::uint64_t page, core::PageWord& seen,
                                  core::PageWord next) const FAULTLINE_SIGNAL_SAFE {
        if (seen.bits() == 0) words_.mark(page);
        std::uint64_t bits = seen.bits();
        const bool changed = words_[page].compare_exchange_strong(bits, next.bits(), std::memory_order_acq_rel,
                                                                  std::memory_order_acquire);
        if (!changed) seen = core::PageWord{bits};
        return changed;
    }

    /// Replaces the word by `edge(word)`, and repeats when pins or waiters change it meanwhile. Wakes the threads that
    /// sleep on the word if `edge` cleared the waiters mark. Returns the previous word: if its `waiters()` is set,
    /// threads may also sleep in the kernel, and the caller must wake those.
    template <typename Edge>
    core::PageWord publish(std::uint64_t page, Edge edge) const FAULTLINE_SIGNAL_SAFE {
        core::PageWord seen = load(page);
        core::PageWord next = edge(seen);
        while (!try_change(page, seen, next)) next = edge(seen);
        if (seen.waiters() && !next.waiters()) sys::futex_wake(futex(page));
        return seen;
    }

    /// Wakes threads that sleep on the word of `page`.
    void wake(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE { sys::futex_wake(futex(page)); }

    /// Sets the waiters mark if the word still equals `seen`. Returns false, with `seen` updated, if the word has
    /// changed.
    [[nodiscard]] bool announce_waiter(std::uint64_t page, core::PageWord& seen) const FAULTLINE_SIGNAL_SAFE {
        if (seen.waiters()) return true;
        if (!try_change(page, seen, seen.with_waiters(true))) return false;
        seen = seen.with_waiters(true);
        return true;
    }

    /// Sleeps until the word differs from `seen`. May wake up without cause: the caller loads the word again.
    void wait(std::uint64_t page, core::PageWord seen) const FAULTLINE_SIGNAL_SAFE {
        if (announce_waiter(page, seen)) sys::futex_wait(futex(page), static_cast<std::uint32_t>(seen.bits()));
    }

    /// Returns the first page of `range` that may have been touched, or the range's end. It skips 32768 untouched pages
    /// at a time (128 MiB of 4 KiB pages).
    [[nodiscard]] std::uint64_t next_touched(core::PageRange range) const FAULTLINE_SIGNAL_SAFE {
        return words_.next_marked(range.first, range.end());
    }

    /// Calls `visit(page)` for every page of `range` that may have been touched, in order.
    template <typename Visit>
    void for_each_touched(core::PageRange range, Visit visit) const {
        words_.for_each_marked(range.first, range.end(), visit);
    }

private:
    /// Returns the low half of the word, which the kernel compares. x86-64 is little-endian, so it comes first.
    [[nodiscard]] const std::atomic<std::uint32_t>& futex(std::uint64_t page) const noexcept {
        return reinterpret_cast<const std::atomic<std::uint32_t>&>(words_[page]);
    }

    sys::TrackedArray<std::atomic<std::uint64_t>> words_;
};

}  // namespace faultline::table
