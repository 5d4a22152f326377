// BlockTable: the words and checksums of the blocks of one compressed store, as a flat array, and a reference to the
// store behind it. It needs 16 bytes for each block that was ever written; the rest only reserves addresses. It only
// changes words. Its callers free the entries and space that a change releases.
#pragma once

#include "core/signal_safe.hpp"
#include "store/backing_store.hpp"
#include "store/block_word.hpp"
#include "sys/tracked_array.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::store {

class BlockTable {
public:
    /// A table for `bytes` in blocks of `block_bytes`, which divides them. `number` must differ from that of every
    /// other table that writes to the same files.
    BlockTable(BackingStore& behind, std::uint64_t bytes, std::size_t block_bytes, std::uint64_t number)
        : behind_{behind},
          block_bytes_{block_bytes},
          number_{number},
          entries_{bytes / block_bytes, "a map of compressed pages"} {}

    [[nodiscard]] BackingStore& behind() const noexcept { return behind_; }
    [[nodiscard]] std::size_t block_bytes() const noexcept { return block_bytes_; }
    [[nodiscard]] std::uint64_t blocks() const noexcept { return entries_.size(); }
    [[nodiscard]] std::uint64_t offset_of(std::uint64_t block) const noexcept { return block * block_bytes_; }

    /// Returns the checksum seed for one version of a block. Bytes of another version or another block then fail the
    /// check.
    [[nodiscard]] std::uint64_t seed(std::uint64_t block, std::uint32_t generation) const noexcept {
        // Odd factors: every change of a single input changes the seed.
        return (number_ * 0x9e37'79b9'7f4a'7c15U ^ block) * 0xd6e8'feb8'6659'fd93U ^ generation;
    }

    /// Loads the word, sequentially consistent: a reader pins the segment first and then loads the word again.
    [[nodiscard]] BlockWord load(std::uint64_t block) const FAULTLINE_SIGNAL_SAFE {
        return BlockWord{entries_[block].word.load()};
    }

    /// Replaces `seen` by `next`. On failure sets `seen` to the current word and returns false.
    [[nodiscard]] bool try_change(std::uint64_t block, BlockWord& seen, BlockWord next) const FAULTLINE_SIGNAL_SAFE {
        if (seen.bits() == 0) entries_.mark(block);
        std::uint64_t bits = seen.bits();
        const bool changed = entries_[block].word.compare_exchange_strong(bits, next.bits());
        if (!changed) seen = BlockWord{bits};
        return changed;
    }

    /// Replaces the word by `edge(word)`. Returns the old word.
    template <typename Edge>
    BlockWord change(std::uint64_t block, Edge edge) const FAULTLINE_SIGNAL_SAFE {
        BlockWord seen = load(block);
        while (!try_change(block, seen, edge(seen))) {
        }
        return seen;
    }

    [[nodiscard]] std::uint64_t checksum(std::uint64_t block) const FAULTLINE_SIGNAL_SAFE {
        return entries_[block].checksum.load();
    }
    /// Only the thread that has set `busy` may call it.
    void set_checksum(std::uint64_t block, std::uint64_t checksum) const FAULTLINE_SIGNAL_SAFE {
        entries_[block].checksum.store(checksum);
    }

    /// Calls `visit(block)` for every block that may have been written. Control path.
    template <typename Visit>
    void for_each_touched(Visit visit) const {
        entries_.for_each_marked(0, blocks(), visit);
    }

private:
    // Sequentially consistent. `checksum` belongs to the store behind; the thread that has set `busy` changes it.
    struct Entry {
        std::atomic<std::uint64_t> word;
        std::atomic<std::uint64_t> checksum;
    };

    BackingStore& behind_;
    std::size_t block_bytes_;
    std::uint64_t number_;
    sys::TrackedArray<Entry> entries_;
};

}  // namespace faultline::store
