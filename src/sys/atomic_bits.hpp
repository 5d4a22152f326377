// AtomicBits: a fixed-size array of bits, all clear at first. Memory is taken only where bits are set. Its declaration
// says what a bit means and which threads change it. Sets of pages (table::PageSet), the heap's page states and the
// preallocated chunks of a swap file are such arrays.
#pragma once

#include "core/bit_words.hpp"
#include "core/signal_safe.hpp"
#include "sys/array_memory.hpp"
#include "sys/lazy_array.hpp"

#include <atomic>
#include <bit>
#include <cstdint>

namespace faultline::sys {

/// Any thread may call any function at any time. Each word of 64 bits changes atomically; a range does not. All
/// accesses are sequentially consistent, so two threads that each set a bit and then test the other's cannot both find
/// it clear.
class AtomicBits {
public:
    /// `purpose` names the memory in error messages. Throws std::system_error (ENOMEM).
    AtomicBits(std::uint64_t bits, const char* purpose) : size_{bits}, words_{words_for(bits), purpose} {}
    /// Takes memory from `memory`, which outlives the array.
    AtomicBits(std::uint64_t bits, ArrayMemory& memory) : size_{bits}, words_{words_for(bits), memory} {}

    /// Returns the bytes of memory that `bits` take: whole pages.
    [[nodiscard]] static constexpr std::size_t bytes_for(std::uint64_t bits) noexcept {
        return LazyArray<std::atomic<std::uint64_t>>::bytes_for(words_for(bits));
    }

    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

    [[nodiscard]] bool test(std::uint64_t bit) const FAULTLINE_SIGNAL_SAFE {
        return (words_[bit / core::kBitsPerWord].load() & mask_of(bit)) != 0;
    }

    /// Changes one bit. Returns true if it was different. Writes only in that case, so that a repeated call takes no
    /// memory and no cache line.
    bool set(std::uint64_t bit) const FAULTLINE_SIGNAL_SAFE {
        return set_in(words_[bit / core::kBitsPerWord], mask_of(bit)) != 0;
    }
    bool clear(std::uint64_t bit) const FAULTLINE_SIGNAL_SAFE {
        return clear_in(words_[bit / core::kBitsPerWord], mask_of(bit)) != 0;
    }

    /// Changes [first, first + count). Returns how many bits were different.
    std::uint64_t set(std::uint64_t first, std::uint64_t count) const FAULTLINE_SIGNAL_SAFE {
        std::uint64_t changed = 0;
        core::for_each_word(first, count, [&](std::uint64_t word, std::uint64_t mask) {
            changed += static_cast<std::uint64_t>(std::popcount(set_in(words_[word], mask)));
        });
        return changed;
    }
    std::uint64_t clear(std::uint64_t first, std::uint64_t count) const FAULTLINE_SIGNAL_SAFE {
        std::uint64_t changed = 0;
        core::for_each_word(first, count, [&](std::uint64_t word, std::uint64_t mask) {
            changed += static_cast<std::uint64_t>(std::popcount(clear_in(words_[word], mask)));
        });
        return changed;
    }

    /// `next_set` returns the first bit in [from, end) that is set, or `end`; `next_clear` the first that is clear.
    [[nodiscard]] std::uint64_t next_set(std::uint64_t from, std::uint64_t end) const FAULTLINE_SIGNAL_SAFE {
        return core::next_one(from, end, [this](std::uint64_t word) { return words_[word].load(); });
    }
    [[nodiscard]] std::uint64_t next_clear(std::uint64_t from, std::uint64_t end) const FAULTLINE_SIGNAL_SAFE {
        return core::next_one(from, end, [this](std::uint64_t word) { return ~words_[word].load(); });
    }

private:
    using Word = std::atomic<std::uint64_t>;

    static constexpr std::uint64_t words_for(std::uint64_t bits) noexcept { return bits / core::kBitsPerWord + 1; }
    static constexpr std::uint64_t mask_of(std::uint64_t bit) noexcept {
        return std::uint64_t{1} << (bit % core::kBitsPerWord);
    }
    // Each returns the bits of `mask` that it changed.
    static std::uint64_t set_in(Word& word, std::uint64_t mask) FAULTLINE_SIGNAL_SAFE {
        return (word.load() & mask) == mask ? 0 : mask & ~word.fetch_or(mask);
    }
    static std::uint64_t clear_in(Word& word, std::uint64_t mask) FAULTLINE_SIGNAL_SAFE {
        return (word.load() & mask) == 0 ? 0 : mask & word.fetch_and(~mask);
    }

    std::uint64_t size_;
    LazyArray<Word> words_;
};

}  // namespace faultline::sys
