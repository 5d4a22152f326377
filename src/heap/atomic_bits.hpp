// AtomicBits: a flat array of bits, one for each page of a heap, in lazily touched memory. Each change is atomic per
// word of 64 bits. The declaration of an AtomicBits says what a bit means and which thread may change it. Used by
// PageLife; the pager reads the words when it evicts.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/lazy_array.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace faultline::heap {

/// Safe to use from any thread. A range is changed word by word, not as a transaction. Reads acquire, changes release.
class AtomicBits {
public:
    AtomicBits(std::uint64_t bits, const char* purpose) : words_{(bits + 63) / 64, purpose}, bits_{bits} {}

    [[nodiscard]] bool test(std::uint64_t bit) const FAULTLINE_SIGNAL_SAFE {
        return (words_[bit / 64].load() >> (bit % 64) & 1) != 0;
    }

    /// `set` and `clear` change [first, first + count). They return how many bits changed.
    std::uint64_t set(std::uint64_t first, std::uint64_t count) const noexcept {
        std::uint64_t changed = 0;
        for_each_word(first, count, [&](std::atomic<std::uint64_t>& word, std::uint64_t mask) {
            if ((word.load(std::memory_order_relaxed) & mask) == mask) return;
            changed += static_cast<std::uint64_t>(std::popcount(mask & ~word.fetch_or(mask)));
        });
        return changed;
    }
    std::uint64_t clear(std::uint64_t first, std::uint64_t count) const noexcept {
        std::uint64_t changed = 0;
        for_each_word(first, count, [&](std::atomic<std::uint64_t>& word, std::uint64_t mask) {
            if ((word.load(std::memory_order_relaxed) & mask) == 0) return;
            changed += static_cast<std::uint64_t>(std::popcount(mask & word.fetch_and(~mask)));
        });
        return changed;
    }

    /// Return the first set (clear) bit in [from, end), or `end`.
    [[nodiscard]] std::uint64_t next_set(std::uint64_t from, std::uint64_t end) const noexcept {
        return next(from, end, 0);
    }
    [[nodiscard]] std::uint64_t next_clear(std::uint64_t from, std::uint64_t end) const noexcept {
        return next(from, end, ~std::uint64_t{0});
    }

    [[nodiscard]] std::uint64_t size() const noexcept { return bits_; }

private:
    template <typename Change>
    void for_each_word(std::uint64_t first, std::uint64_t count, Change change) const noexcept {
        const std::uint64_t end = first + count;
        while (first < end) {
            const std::uint64_t in_word = std::min<std::uint64_t>(64 - first % 64, end - first);
            const std::uint64_t ones = in_word == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << in_word) - 1;
            change(words_[first / 64], ones << (first % 64));
            first += in_word;
        }
    }

    /// Returns the first bit in [from, end) that differs from `flip`'s bits, or `end`.
    [[nodiscard]] std::uint64_t next(std::uint64_t from, std::uint64_t end, std::uint64_t flip) const noexcept {
        while (from < end) {
            const std::uint64_t rest = (words_[from / 64].load(std::memory_order_acquire) ^ flip) >> (from % 64);
            if (rest != 0) return std::min<std::uint64_t>(end, from + static_cast<unsigned>(std::countr_zero(rest)));
            from += 64 - from % 64;
        }
        return end;
    }

    sys::LazyArray<std::atomic<std::uint64_t>> words_;
    std::uint64_t bits_;
};

}  // namespace faultline::heap
