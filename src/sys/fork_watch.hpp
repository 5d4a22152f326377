// Fork watch: tells a process from the child it forked, and lets four parties prepare for fork and clean up after it:
// one that uses another is still served by it when it prepares, and again when it cleans up. A child inherits the
// pager's descriptors and its picture of memory, but not the threads.
#pragma once

#include <cstdint>

namespace faultline::sys {

/// Registers with the C library, once: handlers registered first are called last before fork, and first after it. Done
/// while the library is initialised; the preload does it before any other library can register handlers of its own.
void watch_forks() noexcept;

/// A number that differs between a process and every child it forks (not by vfork or a bare system call). Signal-safe.
[[nodiscard]] unsigned process_generation() noexcept;

/// The first prepares first and cleans up last: what the library is loaded into a program by, the heaps, the pagers,
/// and the allocator of all these, where that is not the C library's (which locks its own after every handler).
enum class ForkParty : std::uint8_t { outer, upper, lower, allocator };

struct ForkHandlers {
    void (*before)() = nullptr;     ///< In the parent, after every such handler of the program's has run.
    void (*in_parent)() = nullptr;  ///< Before any handler of the program's, also when fork failed.
    void (*in_child)() = nullptr;   ///< Likewise, and after the generation has changed.
};

/// From now on. `handlers` must live as long as the process; null takes them away.
void set_fork_handlers(ForkParty party, const ForkHandlers* handlers) noexcept;

}  // namespace faultline::sys
