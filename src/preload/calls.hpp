// System calls as numbers and arguments: how much of the memory that they name the kernel may read or write, and the
// making of one with that memory in place.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::preload {

struct Call {
    long number = 0;
    std::array<std::uint64_t, 6> arguments{};
};

/// Makes the call as if it stood where the signal came from, whose signal mask was `mask`: signals interrupt it, and
/// are handled while it waits. What of its memory is managed is brought in and, where the limit has room, pinned
/// meanwhile. Returns what the kernel did. To be called with all signals blocked that `kHandlerMask` has. A
/// cancellation point, and so not noexcept.
[[nodiscard]] long make_call(Call call, std::uint64_t mask);

/// The signals that are blocked while the library looks at a call: all but those that faults arrive by.
inline constexpr std::uint64_t kFaultSignals = std::uint64_t{1} << (7 - 1) | std::uint64_t{1} << (11 - 1);
inline constexpr std::uint64_t kHandlerMask = ~kFaultSignals;

/// Brings in what execve(2) reads. Signal-safe; also for a child of vfork, which no dispatch sees.
void touch_exec_memory(const char* path, char* const* arguments, char* const* environment) noexcept;

/// execve(2) and execveat(2), tried again where the kernel finds something absent. As touch_exec_memory. `mask`: as for
/// make_call, and the next program begins with it; null where the caller stands outside of a handler.
[[nodiscard]] long make_exec_call(const Call& call, const std::uint64_t* mask, const char* path, char* const* arguments,
                                  char* const* environment) noexcept;

}  // namespace faultline::preload
