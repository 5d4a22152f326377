// ProgramBreak: the heap of a space: brk(2) and sbrk(3) with Linux's semantics (mm/mmap.c, and glibc's
// sbrk.c).
#pragma once

#include "space/mapped_segments.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace faultline::space {

/// Not thread-safe: Space serialises the calls.
class ProgramBreak {
public:
    explicit ProgramBreak(MappedSegments& segments) noexcept : segments_{segments} {}

    /// Sets the bounds and the break. Call it once, before the other functions.
    void start(std::uintptr_t begin, std::uintptr_t at, std::size_t limit) noexcept {
        begin_ = begin;
        break_ = at;
        limit_ = limit;
    }
    /// Starts at the addresses that correspond to those of `source`, whose segments `segments` is a clone of.
    void start_as_clone_of(const ProgramBreak& source) noexcept;

    [[nodiscard]] std::uintptr_t begin() const noexcept { return begin_; }

    /// Moves the break to `address` if possible. Returns the break.
    [[nodiscard]] std::uintptr_t brk(std::uintptr_t address);
    /// Moves the break by `delta` bytes. Returns the old break, or nothing if it cannot be moved.
    [[nodiscard]] std::optional<std::uintptr_t> sbrk(std::ptrdiff_t delta);

private:
    [[nodiscard]] bool move(std::uintptr_t address);
    [[nodiscard]] bool has_room(std::uintptr_t from, std::uintptr_t end) const noexcept;

    MappedSegments& segments_;
    std::uintptr_t begin_ = 0;
    std::uintptr_t break_ = 0;
    std::size_t limit_ = 0;  // of the heap, in bytes
};

}  // namespace faultline::space
