// OwnPlace: the addresses in which the library maps memory while a program runs beside it. Elsewhere the kernel chooses
// the address, and may choose a hole that the program has just made with munmap: the program may map something else
// there with MAP_FIXED, and would replace memory of the library. Only the preload opens a place, before the program's
// first instruction; without one nothing here has an effect.
//
// A place is one reserved mapping without access. What is in use in it may have any access and contents; what is not is
// closed. Mapping, threads, rings, and the preload's stacks and copies take their addresses here.
#pragma once

#include "core/address_range.hpp"
#include "core/signal_safe.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::sys {

/// Thread-safe and signal-safe, but for `open` and the calls around fork.
class OwnPlace {
public:
    /// What a child of fork has of a range.
    enum class InChild : std::uint8_t {
        kept,  ///< The range, in use as in its parent.
        free,  ///< Nothing: its owner does not exist there. The child never gives it back.
    };

    /// Reserves the first place, of `bytes`, or less if the kernel refuses so much. More places follow when it is full;
    /// the kernel chooses where. Call while the process has one thread. Without any place `take` returns null.
    static void open(std::size_t bytes) noexcept;

    /// Returns closed memory: private, anonymous, without access, with MAP_NORESERVE. `bytes` and `alignment` are
    /// multiples of 4 KiB; `alignment` is also a power of two. Returns null if no memory is free.
    [[nodiscard]] static std::byte* take(std::size_t bytes, std::size_t alignment,
                                         InChild in_child) FAULTLINE_SIGNAL_SAFE;

    /// Closes a range that `take` returned, or a part of it, which drops its contents. Does nothing and returns false
    /// if the range does not lie in a place.
    static bool give_back(const void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

    /// The same for a range whose memory mremap(2) has moved away. If the kernel has mapped something else there since,
    /// the addresses are never used again.
    static bool give_back_hole(const void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

    /// Returns true if a range of addresses and a place have an address in common.
    [[nodiscard]] static bool overlaps(core::AddressRange range) FAULTLINE_SIGNAL_SAFE;

    // Called by OwnHeap. No thread takes or gives back during a fork.
    static void before_fork() noexcept;
    static void after_fork_in_parent() noexcept;
    static void after_fork_in_child() noexcept;
};

}  // namespace faultline::sys
