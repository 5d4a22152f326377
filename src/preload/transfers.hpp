// Makes the calls that move bytes between a descriptor and buffers.
// Each moves what the kernel would move if the buffers were ordinary memory, however large they are and however little
// room the limit has for pins. Called by make_call.
#pragma once

#include "preload/calls.hpp"
#include "preload/transfer.hpp"

#include <cstdint>

namespace faultline::preload {

/// Returns true if the call, as it is, names managed memory. Signal-safe.
[[nodiscard]] bool touches_managed_memory(const Transfer& transfer) noexcept;

/// Makes a call for which Transfer::is_one is true, with the program's signal mask. Returns what the kernel would
/// return. A cancellation point.
[[nodiscard]] long make_transfer(const Call& call, std::uint64_t mask);

/// Makes sendmmsg(2) or recvmmsg(2), message by message.
[[nodiscard]] long make_message_transfers(const Call& call, std::uint64_t mask);

/// Makes vmsplice(2) on copies: the kernel keeps the pages, and they would change once the pager reuses their frames.
[[nodiscard]] long make_vmsplice(const Call& call, std::uint64_t mask);

/// Makes getrandom(2).
[[nodiscard]] long make_getrandom(const Call& call, std::uint64_t mask);

}  // namespace faultline::preload
