// Makes transfers. In order of preference:
// 1. No buffer is managed: make the call as it is.
// 2. The window holds all managed bytes and they can be pinned: make the call as it is.
// 3. The transfer is larger than the window and may be split without a visible difference: make it in pieces, each
// pinned as far as possible.
// 4. Otherwise: make one call on the pinned front of the buffers and a copy of the rest.

#include "preload/transfers.hpp"

#include "core/units.hpp"
#include "preload/pinned_memory.hpp"
#include "preload/program_call.hpp"
#include "preload/program_memory.hpp"
#include "preload/scratch.hpp"
#include "preload/transfer.hpp"
#include "sys/descriptor_kind.hpp"
#include "sys/syscall.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace faultline::preload {
namespace {

constexpr std::uint64_t kCopiedPiece = std::uint64_t{64} << 10;
constexpr unsigned kAtomicWrite = 0x40;  // RWF_ATOMIC, missing in the distribution's headers

enum class Way : std::uint8_t {
    whole,             ///< In one call.
    pieces,            ///< In pieces; signals do not end it.
    pieces_that_wait,  ///< In pieces; a signal with a handler ends it once a piece has been moved.
};

bool is_managed(const iovec& buffer) noexcept {
    return preload::is_managed(core::address_of(buffer.iov_base), buffer.iov_len);
}

/// Pins all memory of the call. Returns false if that is more than the window or cannot be pinned.
bool pin_all(const Transfer& transfer, PinnedMemory& memory) noexcept {
    bool all = true;
    transfer.for_each_other_memory(
        [&](std::uint64_t address, std::uint64_t bytes) { all = all && memory.add(address, bytes); });
    std::uint64_t left = transfer_window();
    for (const iovec& buffer : transfer.buffers()) {
        if (!all) return false;
        if (!is_managed(buffer)) continue;
        if (buffer.iov_len > left) return false;
        left -= buffer.iov_len;
        all = memory.add(core::address_of(buffer.iov_base), buffer.iov_len);
    }
    return all;
}

/// Returns true for receive calls on a stream that wait until all bytes have arrived.
bool waits_for_all(const Transfer& transfer) noexcept {
    constexpr unsigned kOrdinary = MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC;
    return (transfer.flags() & MSG_WAITALL) != 0 && (transfer.flags() & ~kOrdinary) == 0 &&
           !transfer.has_control_data();
}

Way way_on_stream(const Transfer& transfer) noexcept {
    if (transfer.purpose() == PinFor::writing) {
        return transfer.on_socket() && waits_for_all(transfer) ? Way::pieces_that_wait : Way::whole;
    }
    constexpr unsigned kOrdinary = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE | MSG_WAITALL;
    const bool ordinary = !transfer.on_socket() || (transfer.flags() & ~kOrdinary) == 0;
    return ordinary ? Way::pieces_that_wait : Way::whole;
}

/// Chooses how to make a transfer that is larger than the window. Reads from pipes, sockets and terminals are never
/// split: the kernel returns what has arrived, but a second piece might wait for more.
Way way_of(const Transfer& transfer) noexcept {
    if (!transfer.on_socket() && (transfer.flags() & kAtomicWrite) != 0) return Way::whole;
    switch (sys::descriptor_kind(transfer.descriptor())) {
        case sys::DescriptorKind::closed:
        case sys::DescriptorKind::file:
        case sys::DescriptorKind::memory_device:
            return Way::pieces;
        case sys::DescriptorKind::terminal:
        case sys::DescriptorKind::pipe:
            return transfer.purpose() == PinFor::reading ? Way::pieces_that_wait : Way::whole;
        case sys::DescriptorKind::stream_socket:
            return way_on_stream(transfer);
        case sys::DescriptorKind::message_socket:
        case sys::DescriptorKind::other:
            return Way::whole;
    }
    return Way::whole;
}

/// Returns true if the transfer, once started, may wait for room or bytes.
bool may_wait(const Transfer& transfer) noexcept {
    if (transfer.on_socket() && (transfer.flags() & MSG_DONTWAIT) != 0) return false;
    if (!transfer.on_socket() && (transfer.flags() & RWF_NOWAIT) != 0) return false;
    return (sys::open_flags(transfer.descriptor()) & O_NONBLOCK) == 0;
}

/// The timeout of a socket (SO_RCVTIMEO, SO_SNDTIMEO); null: it waits for ever.
class WaitTime {
public:
    explicit WaitTime(const Transfer& transfer) noexcept {
        timeval limit{};
        socklen_t bytes = sizeof limit;
        const int option = transfer.purpose() == PinFor::writing ? SO_RCVTIMEO : SO_SNDTIMEO;
        const long result = sys::raw_syscall(SYS_getsockopt, transfer.descriptor(), SOL_SOCKET, option,
                                             sys::syscall_argument(&limit), sys::syscall_argument(&bytes));
        limited_ = result == 0 && (limit.tv_sec != 0 || limit.tv_usec != 0);  // getsockopt fails on a pipe
        time_ = {limit.tv_sec, limit.tv_usec * 1000};
    }
    [[nodiscard]] const timespec* get() const noexcept { return limited_ ? &time_ : nullptr; }

private:
    timespec time_{};
    bool limited_ = false;
};

/// A pinned piece at the front of the remaining buffers: at most a window of managed bytes, at most kMost buffers.
class PinnedPiece {
public:
    PinnedPiece(BufferCursor from, PinFor purpose) noexcept : memory_{purpose} {
        std::uint64_t window = transfer_window();
        while (from.left() > 0 && count_ < kMost && window > 0) {
            iovec buffer = from.front();
            const bool managed = is_managed(buffer);
            if (managed) buffer.iov_len = std::min<std::uint64_t>(buffer.iov_len, window);
            const UsableFront front = memory_.add_front(core::address_of(buffer.iov_base), buffer.iov_len);
            if (front.bytes > 0) append({buffer.iov_base, front.bytes});
            if (managed) window -= front.bytes;
            error_ = front.error;
            if (error_ != 0) return;
            from.advance(front.bytes);
        }
    }

    /// Adds a buffer that needs no pin.
    void append(iovec buffer) noexcept {
        vectors_[count_++] = buffer;
        bytes_ += buffer.iov_len;
    }
    /// Cuts a piece that ends before the transfer does to a multiple of 4 KiB: direct I/O takes whole blocks only, and
    /// packets in pipes have PIPE_BUF bytes.
    void cut_to_units() noexcept {
        if (bytes_ < core::kUnitBytes) return;
        std::uint64_t surplus = bytes_ % core::kUnitBytes;
        bytes_ -= surplus;
        while (surplus > 0) {
            iovec& last = vectors_[count_ - 1];
            const std::uint64_t cut = std::min<std::uint64_t>(surplus, last.iov_len);
            last.iov_len -= cut;
            surplus -= cut;
            if (last.iov_len == 0) --count_;
        }
    }

    [[nodiscard]] std::span<iovec> vectors() noexcept { return {vectors_.data(), count_}; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    /// Returns why the piece ends here; 0 at the end of the buffers, or if the piece is full. ENOMEM: the limit.
    [[nodiscard]] int error() const noexcept { return error_; }

private:
    static constexpr std::size_t kMost = 15;  // two more: a copy of the rest, and memory that the call may not use

    PinnedMemory memory_;
    std::array<iovec, kMost + 2> vectors_;
    std::size_t count_ = 0;
    std::uint64_t bytes_ = 0;
    int error_ = 0;
};

/// Copies the buffers, from the cursor on, to `copy`.
void copy_from(BufferCursor buffers, std::span<std::byte> copy) noexcept {
    while (!copy.empty()) {
        const iovec buffer = buffers.front();
        const std::size_t bytes = std::min(buffer.iov_len, copy.size());
        std::memcpy(copy.data(), buffer.iov_base, bytes);
        copy = copy.subspan(bytes);
        buffers.advance(bytes);
    }
}
void copy_to(BufferCursor buffers, std::span<const std::byte> copy) noexcept {
    while (!copy.empty()) {
        const iovec buffer = buffers.front();
        const std::size_t bytes = std::min(buffer.iov_len, copy.size());
        std::memcpy(buffer.iov_base, copy.data(), bytes);
        copy = copy.subspan(bytes);
        buffers.advance(bytes);
    }
}

/// Returns how many of the next `bytes` of the buffers the transfer may use, by the protection of managed pages.
std::uint64_t permitted_bytes(BufferCursor buffers, std::uint64_t bytes, PinFor purpose) noexcept {
    std::uint64_t permitted = 0;
    while (permitted < bytes) {
        const iovec buffer = buffers.front();
        const std::uint64_t part = std::min<std::uint64_t>(buffer.iov_len, bytes - permitted);
        const std::uint64_t usable = preload::permitted_bytes(core::address_of(buffer.iov_base), part, purpose);
        permitted += usable;
        if (usable < part) break;
        buffers.advance(part);
    }
    return permitted;
}

/// Returns the rest of the buffer that is `offset` bytes behind the cursor, where the program may not use the memory.
/// With it the kernel itself decides whether the transfer ends in front of it or fails with EFAULT.
iovec forbidden_buffer(BufferCursor buffers, std::uint64_t offset) noexcept {
    buffers.advance(offset);
    return buffers.front();
}

/// Makes the call on the pinned front, followed by a copy of the next `wanted` bytes, as far as the program may use
/// them. `buffers`: the start of the front.
long make_with_copy(const Transfer& transfer, BufferCursor buffers, PinnedPiece& front, std::uint64_t wanted,
                    std::uint64_t moved, std::uint64_t mask, Patience patience = Patience::of_program) {
    const std::uint64_t pinned = front.bytes();
    buffers.advance(pinned);
    const std::uint64_t rest = permitted_bytes(buffers, wanted, transfer.purpose());
    const Scratch copy{rest};
    if (rest > 0 && !copy) return -ENOMEM;
    if (transfer.purpose() == PinFor::reading) copy_from(buffers, {copy.data(), rest});
    if (rest > 0) front.append({copy.data(), rest});
    if (rest < wanted) front.append(forbidden_buffer(buffers, rest));
    const long result = transfer.make(front.vectors(), moved, mask, patience);
    if (transfer.purpose() == PinFor::writing && result > static_cast<long>(pinned)) {
        // With MSG_TRUNC the result is the length of the message, which may exceed the bytes received.
        copy_to(buffers, {copy.data(), std::min(static_cast<std::uint64_t>(result) - pinned, rest)});
    }
    return result;
}

long move_whole(const Transfer& transfer, std::uint64_t mask) {
    const BufferCursor buffers{transfer.buffers()};
    PinnedPiece front{buffers, transfer.purpose()};
    const std::uint64_t rest = buffers.left() - front.bytes();
    if (rest == 0) return transfer.make(front.vectors(), 0, mask);
    if (front.error() == EFAULT) {
        front.append(forbidden_buffer(buffers, front.bytes()));
        return transfer.make(front.vectors(), 0, mask);
    }
    if (front.error() != 0 && front.error() != ENOMEM) return -front.error();
    return make_with_copy(transfer, buffers, front, rest, 0, mask);
}

/// The bytes that were moved, or a negated errno, and the bytes that were requested.
struct MovedPiece {
    long result;
    std::uint64_t bytes;
};

MovedPiece move_piece(const Transfer& transfer, const BufferCursor& buffers, std::uint64_t moved, std::uint64_t mask,
                      Patience patience) {
    PinnedPiece piece{buffers, transfer.purpose()};
    if (piece.bytes() < buffers.left()) piece.cut_to_units();
    if (const std::uint64_t bytes = piece.bytes())
        return {transfer.make(piece.vectors(), moved, mask, patience), bytes};
    if (piece.error() != 0 && piece.error() != ENOMEM) return {-piece.error(), 0};
    const std::uint64_t bytes = std::min(buffers.left(), kCopiedPiece);
    return {make_with_copy(transfer, buffers, piece, bytes, moved, mask, patience), bytes};
}

/// Moves the next piece of a transfer that waits. Only the first piece waits in its own call; later ones wait in poll.
/// The kernel ends a transfer when a signal comes. A later call that waits would instead be restarted after a signal,
/// or would miss a signal that came since the last piece.
MovedPiece move_next_piece(const Transfer& transfer, const BufferCursor& buffers, std::uint64_t moved,
                           std::uint64_t mask) {
    const int descriptor = transfer.descriptor();
    for (;;) {
        const MovedPiece piece = move_piece(transfer, buffers, moved, mask, Patience::none);
        if (piece.result == -EOPNOTSUPP && handler_is_due(mask)) return {-EINTR, piece.bytes};
        if (piece.result == -EOPNOTSUPP) return move_piece(transfer, buffers, moved, mask, Patience::of_program);
        if (piece.result != -EAGAIN || !may_wait(transfer)) return piece;
        const WaitTime time{transfer};
        const short events = transfer.purpose() == PinFor::writing ? POLLIN : POLLOUT;
        const long ready = wait_interruptibly(descriptor, events, time.get(), mask);
        if (ready <= 0) return {ready == 0 ? -EAGAIN : ready, piece.bytes};
    }
}

/// Moves the pieces. Once bytes have been moved, an error is left to the program's next call, as the kernel does.
long move_in_pieces(const Transfer& transfer, Way way, std::uint64_t mask) {
    BufferCursor buffers{transfer.buffers()};
    std::uint64_t moved = 0;
    while (buffers.left() > 0) {
        const bool first = moved == 0 || way == Way::pieces;
        const MovedPiece piece = first ? move_piece(transfer, buffers, moved, mask, Patience::of_program)
                                       : move_next_piece(transfer, buffers, moved, mask);
        if (piece.result < 0) return moved > 0 ? static_cast<long>(moved) : piece.result;
        const auto bytes = static_cast<std::uint64_t>(piece.result);
        moved += bytes;
        buffers.advance(bytes);
        if (bytes == 0 || (first && bytes < piece.bytes)) break;
    }
    return static_cast<long>(moved);
}

}  // namespace

bool touches_managed_memory(const Transfer& transfer) noexcept {
    bool any = std::ranges::any_of(transfer.buffers(), [](const iovec& buffer) { return is_managed(buffer); });
    transfer.for_each_other_memory(
        [&](std::uint64_t address, std::uint64_t bytes) { any = any || preload::is_managed(address, bytes); });
    return any;
}

long make_transfer(const Call& call, std::uint64_t mask) {
    const Transfer transfer{call};
    if (transfer.is_senseless() || !touches_managed_memory(transfer)) return interruptible_call(call, mask);
    {
        PinnedMemory memory{transfer.purpose()};
        if (pin_all(transfer, memory)) return interruptible_call(call, mask);
    }
    const bool fits = BufferCursor{transfer.buffers()}.left() <= transfer_window();
    const Way way = fits ? Way::whole : way_of(transfer);
    return way == Way::whole ? move_whole(transfer, mask) : move_in_pieces(transfer, way, mask);
}

long make_getrandom(const Call& call, std::uint64_t mask) {
    const auto& a = call.arguments;
    if (!preload::is_managed(a[0], a[1])) return interruptible_call(call, mask);
    const iovec buffer{reinterpret_cast<void*>(a[0]), a[1]};
    BufferCursor left{{&buffer, 1}};
    std::uint64_t moved = 0;
    while (left.left() > 0 && !(moved > 0 && handler_is_due(mask))) {
        PinnedPiece piece{left, PinFor::writing};
        if (piece.bytes() == 0 && piece.error() != 0 && piece.error() != ENOMEM)
            return moved > 0 ? static_cast<long>(moved) : -piece.error();
        const std::uint64_t most = piece.bytes() > 0 ? 0 : std::min(left.left(), kCopiedPiece);
        const Scratch copy{permitted_bytes(left, most, PinFor::writing)};
        if (piece.bytes() == 0) {
            if (!copy) return moved > 0 ? static_cast<long>(moved) : -EFAULT;
            piece.append({copy.data(), copy.size()});
        }
        const iovec& vector = piece.vectors().front();
        const long result =
            interruptible_call({call.number, {sys::syscall_argument(vector.iov_base), vector.iov_len, a[2]}}, mask);
        if (result < 0) return moved > 0 ? static_cast<long>(moved) : result;
        const auto got = static_cast<std::uint64_t>(result);
        if (copy) copy_to(left, {copy.data(), got});
        moved += got;
        left.advance(got);
        if (got < vector.iov_len) break;
    }
    return static_cast<long>(moved);
}

}  // namespace faultline::preload
