// SpanNotes: memory for what a span of blocks writes down of each (bits, marks, counts of used pages), in one piece per
// span. Pieces of a size class are alike, and are used again within it.
#pragma once

#include "heap/span.hpp"
#include "sys/lazy_array.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::heap {

class SpanNotes {
public:
    explicit SpanNotes(std::uint64_t bytes) : bytes_{bytes, "what a heap notes of its blocks"} {}

    /// Gives `span`, whose class is set, its notes: all blocks free, none live, no page used. False: no room. The lock
    /// of the class is held, for `give`, too.
    [[nodiscard]] bool take(Span& span) noexcept;
    void give(Span& span) noexcept;

    [[nodiscard]] std::uint64_t used_bytes() const noexcept { return end_.load(std::memory_order_relaxed); }

private:
    struct Piece {
        Piece* next;
    };
    sys::LazyArray<std::byte> bytes_;
    std::atomic<std::uint64_t> end_{0};
    std::array<Piece*, kSizeClasses> free_{};
};

}  // namespace faultline::heap
