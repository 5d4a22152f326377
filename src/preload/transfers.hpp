// Transfers: the calls that move bytes between a descriptor and buffers. Each moves what the kernel would move if the
// buffers were ordinary memory, however large they are and however little the limit leaves for pins.
#pragma once

#include "preload/calls.hpp"
#include "preload/transfer.hpp"

#include <cstdint>

namespace faultline::preload {

/// Whether the call, as it stands, leads to managed memory. Signal-safe.
[[nodiscard]] bool touches_managed_memory(const Transfer& transfer) noexcept;

/// A call of which Transfer::is_one is true, made with the program's signal mask. Returns what the kernel would return.
/// A cancellation point.
[[nodiscard]] long make_transfer(const Call& call, std::uint64_t mask);

/// sendmmsg(2) and recvmmsg(2), message by message.
[[nodiscard]] long make_message_transfers(const Call& call, std::uint64_t mask);

/// vmsplice(2). Copies what it moves: pages that the kernel kept would change when the pager uses their frames again.
[[nodiscard]] long make_vmsplice(const Call& call, std::uint64_t mask);

/// getrandom(2).
[[nodiscard]] long make_getrandom(const Call& call, std::uint64_t mask);

}  // namespace faultline::preload
