// The managed memory that one system call may touch, in place for as long as the object lives.
#pragma once

#include "core/page_range.hpp"

#include <faultline/types.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::preload {

class PinnedMemory {
public:
    PinnedMemory() noexcept = default;
    ~PinnedMemory();
    PinnedMemory(const PinnedMemory&) = delete;
    PinnedMemory& operator=(const PinnedMemory&) = delete;

    /// Pins what is managed of a range, all of it or nothing. Where that is too much for the limit, or for this object,
    /// it is not pinned but brought in, and `complete` says so from then on.
    void add(std::uint64_t address, std::uint64_t bytes) noexcept;

    /// Whether there was anything managed.
    [[nodiscard]] bool any() const noexcept { return any_; }
    /// Whether all of it is pinned.
    [[nodiscard]] bool complete() const noexcept { return complete_; }

private:
    void release() noexcept;

    static constexpr std::size_t kMost = 64;

    [[nodiscard]] bool has(core::PageRange pages) const noexcept;

    std::array<core::PageRange, kMost> pinned_;
    std::size_t count_ = 0;
    bool any_ = false;
    bool complete_ = true;
};

/// Brings in what is managed of a range, writable, by touching it: it may leave again at once. Changes nothing in it.
void touch_managed(std::uint64_t address, std::uint64_t bytes) noexcept;

/// Pins what is managed of a range for as long as the program lives.
void keep_pinned(std::uint64_t address, std::uint64_t bytes) noexcept;

/// Whether a byte of the range is managed.
[[nodiscard]] bool is_managed(std::uint64_t address, std::uint64_t bytes) noexcept;

}  // namespace faultline::preload
