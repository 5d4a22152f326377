// SpanMetadata: the memory for the per-block metadata of spans: free bits, marks and used counts, one piece for each
// span. A freed piece is reused by spans of the same size class, whose pieces have the same size. It is lazily touched
// memory outside the heap, and never shrinks. Used by CentralSpans.
#pragma once

#include "heap/span.hpp"
#include "sys/futex_lock.hpp"
#include "sys/lazy_array.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::heap {

class SpanMetadata {
public:
    explicit SpanMetadata(std::uint64_t bytes) : bytes_{bytes, "the metadata of a heap's blocks"} {}

    /// Safe to call from any thread, as `give`. Allocates the piece of `span`, whose class is set: all blocks free,
    /// none live, no page used. Returns false if there is no room.
    [[nodiscard]] bool take(Span& span) noexcept;
    void give(Span& span) noexcept;

    [[nodiscard]] std::uint64_t used_bytes() const noexcept { return end_.load(std::memory_order_relaxed); }

private:
    struct Piece {
        Piece* next;
    };
    [[nodiscard]] Piece* take_free(SizeClass size_class) noexcept;

    sys::LazyArray<std::byte> bytes_;
    std::atomic<std::uint64_t> end_{0};
    sys::FutexLock mutex_;  // guards free_; taken last
    std::array<Piece*, kSizeClasses> free_{};
};

}  // namespace faultline::heap
