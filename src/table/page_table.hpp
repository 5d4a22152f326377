// PageTable: the words of one region's pages, flat, found by arithmetic. 8 bytes per page that was ever touched; the
// rest is addresses only. It knows how to change a word and how to sleep on one, not what the states are for.
#pragma once

#include "core/page_range.hpp"
#include "core/page_word.hpp"
#include "core/signal_safe.hpp"
#include "sys/futex.hpp"
#include "sys/lazy_array.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>

namespace faultline::table {

class PageTable {
public:
    explicit PageTable(std::uint64_t pages)
        : words_{pages, "a page table"},
          touched_{(pages + kPagesPerTouchedWord - 1) / kPagesPerTouchedWord, "a page table's summary"} {}

    [[nodiscard]] std::uint64_t pages() const noexcept { return words_.size(); }

    [[nodiscard]] core::PageWord load(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        return core::PageWord{words_[page].load(std::memory_order_acquire)};
    }

    /// Replaces `seen` by `next`; on failure `seen` becomes what is there instead.
    [[nodiscard]] bool try_change(std::uint64_t page, core::PageWord& seen,
                                  core::PageWord next) const FAULTLINE_SIGNAL_SAFE {
        if (seen.bits() == 0) mark_touched(page);  // before the word, so that no scan can miss it
        std::uint64_t bits = seen.bits();
        const bool changed = words_[page].compare_exchange_strong(bits, next.bits(), std::memory_order_acq_rel,
                                                                  std::memory_order_acquire);
        if (!changed) seen = core::PageWord{bits};
        return changed;
    }

    /// Replaces the word by `edge(word)`, however often pins and waiters interfere, and wakes sleepers on the word if
    /// `edge` took the waiters away. Returns the word that was there before: its `waiters()` says whether threads may
    /// sleep in the kernel, too.
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

    /// Sets the waiters mark on a word that still is `seen`. False: it changed; look again.
    [[nodiscard]] bool announce_waiter(std::uint64_t page, core::PageWord& seen) const FAULTLINE_SIGNAL_SAFE {
        if (seen.waiters()) return true;
        if (!try_change(page, seen, seen.with_waiters())) return false;
        seen = seen.with_waiters();
        return true;
    }

    /// Sleeps until the word is no longer `seen`, or for no reason at all: look again.
    void wait(std::uint64_t page, core::PageWord seen) const FAULTLINE_SIGNAL_SAFE {
        if (announce_waiter(page, seen)) sys::futex_wait(futex(page), static_cast<std::uint32_t>(seen.bits()));
    }

    /// The first page of `range` that may have been touched, or its end. Skips what was not in steps of 128 MiB of the
    /// smallest pages.
    [[nodiscard]] std::uint64_t next_touched(core::PageRange range) const FAULTLINE_SIGNAL_SAFE {
        for (std::uint64_t page = range.first; page < range.end();) {
            const std::uint64_t left =
                touched_[page / kPagesPerTouchedWord].load(std::memory_order_acquire) >> (page / kPagesPerBit % 64);
            if ((left & 1) != 0) return page;
            const auto untouched = static_cast<std::uint64_t>(std::countr_zero(left));
            page = left == 0 ? (page / kPagesPerTouchedWord + 1) * kPagesPerTouchedWord
                             : (page / kPagesPerBit + untouched) * kPagesPerBit;
        }
        return range.end();
    }

    /// Calls `visit(page)` for every page of `range` that may have been touched, in order.
    template <typename Visit>
    void for_each_touched(core::PageRange range, Visit visit) const {
        for (std::uint64_t page = range.first; page < range.end();) {
            page = next_touched({page, range.end() - page});
            const std::uint64_t group_end = std::min((page / kPagesPerBit + 1) * kPagesPerBit, range.end());
            for (; page < group_end; ++page) visit(page);
        }
    }

private:
    // One bit for the 512 words that share a 4 KiB page of the table.
    static constexpr std::uint64_t kPagesPerBit = core::kUnitBytes / sizeof(std::uint64_t);
    static constexpr std::uint64_t kPagesPerTouchedWord = kPagesPerBit * 64;

    static constexpr std::uint64_t bit_of(std::uint64_t page) noexcept {
        return std::uint64_t{1} << (page / kPagesPerBit % 64);
    }

    void mark_touched(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        std::atomic<std::uint64_t>& bits = touched_[page / kPagesPerTouchedWord];
        if ((bits.load(std::memory_order_relaxed) & bit_of(page)) == 0) bits.fetch_or(bit_of(page));
    }

    /// The low half of the word, which the kernel compares (x86-64 is little-endian).
    [[nodiscard]] const std::atomic<std::uint32_t>& futex(std::uint64_t page) const noexcept {
        return reinterpret_cast<const std::atomic<std::uint32_t>&>(words_[page]);
    }

    sys::LazyArray<std::atomic<std::uint64_t>> words_;
    sys::LazyArray<std::atomic<std::uint64_t>> touched_;
};

}  // namespace faultline::table
