// CentralSpans: the central free lists of a heap (tcmalloc's term), one ClassSpans for each size class of each shard.
// It takes free blocks out of spans and puts them back, gets a new span from HeapPages when a class has too few, and
// frees spans that became empty. Each ClassSpans has a lock of its own. Used by SmallBlocks and PageSweeper.
#pragma once

#include "heap/class_spans.hpp"
#include "heap/heap_pages.hpp"
#include "heap/span_metadata.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>

namespace faultline::heap {

/// Safe to use from any thread that is inside a NoForkSection.
class CentralSpans {
public:
    explicit CentralSpans(HeapPages& pages);
    CentralSpans(const CentralSpans&) = delete;
    CentralSpans& operator=(const CentralSpans&) = delete;

    /// Takes up to `blocks.size()` blocks from spans of the shard and class that are worth using. Returns how many it
    /// took. `stale`: see ClassSpans::take.
    [[nodiscard]] std::size_t take(Shard shard, SizeClass size_class, std::span<FreeBlock> blocks,
                                   StalePages* stale = nullptr) noexcept;
    /// The same after adding a span, or from any span of any shard if there is no room for a new one.
    struct Taken {
        std::size_t blocks;
        bool room_for_span;
    };
    [[nodiscard]] Taken take_adding_span(Shard shard, SizeClass size_class, std::span<FreeBlock> blocks,
                                         StalePages* stale) noexcept;
    /// Moves spans of a class from one shard to another, until `to` has one that is worth using. Returns false if
    /// `from` has none for it.
    [[nodiscard]] bool adopt(SizeClass size_class, Shard from, Shard to) noexcept;

    /// Returns the shard that owns the span of a block that is in no span.
    [[nodiscard]] Shard shard_of(const FreeBlock& block) const noexcept {
        return pages_.span_at(pages_.offset_of(block.block)).shard.load(std::memory_order_relaxed);
    }

    /// Puts blocks of one class back into their spans. Aborts if a block is in its span already.
    void put_back(SizeClass size_class, std::span<const FreeBlock> blocks) noexcept;

    /// Frees the empty spans that classes keep for their next blocks.
    void free_unused_spans() noexcept;

    /// `hold_dead_pages` takes all blocks out of the dead pages among `pages`, so that none is handed out while they
    /// are discarded. Finds none if the pages are no longer in a span of the class. `release_pages` puts the blocks
    /// back.
    static constexpr std::size_t kMostPagesHeld = 512;
    struct HeldPages {
        Span* span = nullptr;
        std::array<core::PageRange, kMostPagesHeld> ranges{};
        std::size_t count = 0;  ///< Of ranges.
    };
    void hold_dead_pages(SizeClass size_class, core::PageRange pages, HeldPages& held) noexcept;
    void release_pages(const HeldPages& held) noexcept;

    struct Counts {
        std::uint64_t spans;
        std::uint64_t free_blocks;  ///< In spans.
    };
    [[nodiscard]] Counts counts(SizeClass size_class) noexcept;

private:
    /// The ClassSpans of a span, with its lock held: the span stays in this shard.
    struct Locked {
        ClassSpans& spans;
        std::unique_lock<sys::FutexLock> lock;
    };
    [[nodiscard]] Locked lock_spans_with(const Span& span) noexcept;

    [[nodiscard]] std::size_t take_locked(Shard shard, SizeClass size_class, std::span<FreeBlock> blocks,
                                          StalePages* stale, bool last_resort) noexcept;
    void add_span(Span& span) noexcept;
    void put_back_locked(ClassSpans& spans, SizeClass size_class, const FreeBlock& block) noexcept;
    void free_removed(Span* span) noexcept;

    HeapPages& pages_;
    SpanMetadata metadata_;
    std::array<std::array<ClassSpans, kSizeClasses>, kShards> shards_;
};

}  // namespace faultline::heap
