// ForkWatch: distinguishes a process from its forked children, and runs the fork handlers of four parties. A party can
// use the parties that prepare after it: they still serve it while it prepares, and serve it again when it cleans up. A
// child inherits the pager's descriptors and memory, but not its threads.
#pragma once

#include <cstdint>

namespace faultline::sys {

/// Registers the fork handlers with the C library, once. Handlers that are registered first run last before fork and
/// first after it. Called while the library is initialised. The preload calls it before any other library can register
/// handlers.
void watch_forks() noexcept;

/// Returns a number that differs between a process and every child it forks. vfork and a bare system call do not change
/// it. Signal-safe.
[[nodiscard]] unsigned process_generation() noexcept;

/// outer: the preload; upper: the heaps; lower: the pagers; allocator: the allocator of all these, if it is not the C
/// library's (which takes its own lock after every handler). The first party prepares first and cleans up last.
enum class ForkParty : std::uint8_t { outer, upper, lower, allocator };

struct ForkHandlers {
    void (*before)() = nullptr;     ///< In the parent, after all fork handlers of the program.
    void (*in_parent)() = nullptr;  ///< In the parent, before any fork handler of the program; also if fork failed.
    void (*in_child)() =
        nullptr;  ///< In the child, before any fork handler of the program, after the generation has changed.
};

/// Installs the handlers of a party. `handlers` must live as long as the process; null removes them.
void set_fork_handlers(ForkParty party, const ForkHandlers* handlers) noexcept;

}  // namespace faultline::sys
