// System calls as numbers and arguments, and functions that make a call with its managed memory in place.
// Dispatch calls make_call for each call of the program that may name managed memory; the interposed exec functions
// call make_exec_call. call_memory.hpp and transfer.hpp know which memory a call names.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::preload {

struct Call {
    long number = 0;
    std::array<std::uint64_t, 6> arguments{};
    bool of_neighbour = false;  ///< Made by the C library, the loader or an allocator for itself: see Neighbours.
};

inline constexpr long kEpollPwait2 = 441;  // missing in the distribution's headers

/// Size in bytes of a signal set as the kernel takes it.
inline constexpr std::uint64_t kSignalSetBytes = sizeof(std::uint64_t);

/// Returns an argument, or a part of one, that is an address.
template <typename T>
T* pointer(std::uint64_t address) noexcept {
    return reinterpret_cast<T*>(address);  // NOLINT: an address is a number here
}

/// Makes the call as if the interrupted code made it, whose signal mask was `mask`: signals interrupt the call, and
/// their handlers run while it waits. Managed memory of the call is made resident and, if the limit has room, pinned
/// until the call returns. Returns the kernel's result. Call with the signals of kHandlerMask blocked. A cancellation
/// point, and so not noexcept.
[[nodiscard]] long make_call(Call call, std::uint64_t mask);

/// The signals that are blocked while the library inspects a call: all but the two that report faults.
inline constexpr std::uint64_t kFaultSignals = std::uint64_t{1} << (7 - 1) | std::uint64_t{1} << (11 - 1);
inline constexpr std::uint64_t kHandlerMask = ~kFaultSignals;

/// Makes resident what execve(2) reads. Returns false if not all of it may be read: the kernel then knows which error
/// is the first. Signal-safe; also for a child of vfork, whose calls are not dispatched.
[[nodiscard]] bool touch_exec_memory(const char* path, char* const* arguments, char* const* environment) noexcept;

/// Makes execve(2) or execveat(2), and repeats it while the kernel finds memory absent; see touch_exec_memory. The next
/// program starts with `mask`; null if the caller does not run in a signal handler.
[[nodiscard]] long make_exec_call(const Call& call, const std::uint64_t* mask, const char* path, char* const* arguments,
                                  char* const* environment) noexcept;

}  // namespace faultline::preload
