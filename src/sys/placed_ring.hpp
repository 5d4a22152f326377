// Opens an io_uring whose memory lies in OwnPlace (IORING_SETUP_NO_MMAP, Linux 6.5; for rings of more than a page Linux
// 6.10). io_uring_queue_init lets the kernel choose the addresses, and neither mmap nor mremap accepts others for the
// memory of a ring. IoRing uses it.
#pragma once

struct io_uring;

namespace faultline::sys {

/// Returns 0 or a negated errno: then the caller opens a ring in the usual way. ENOTSUP: there is no OwnPlace. Children
/// of fork do not have the ring's memory.
[[nodiscard]] int open_placed_ring(unsigned depth, io_uring& ring) noexcept;

/// Closes a ring, and returns true, if its memory lies in OwnPlace.
bool close_placed_ring(io_uring& ring) noexcept;

}  // namespace faultline::sys
