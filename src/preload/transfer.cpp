#include "preload/transfer.hpp"

#include "preload/pinned_memory.hpp"
#include "preload/program_call.hpp"
#include "preload/program_memory.hpp"
#include "sys/syscall.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <optional>

namespace faultline::preload {
namespace {

constexpr std::uint64_t kMostBytes = 0x7fff'f000;         // the kernel's MAX_RW_COUNT: the most that one call moves
constexpr std::uint64_t kNoPosition = ~std::uint64_t{0};  // preadv2: use the descriptor's position

PinFor purpose_of(long number) noexcept {
    switch (number) {
        case SYS_read:
        case SYS_pread64:
        case SYS_readv:
        case SYS_preadv:
        case SYS_preadv2:
        case SYS_recvfrom:
        case SYS_recvmsg:
            return PinFor::writing;
        default:
            return PinFor::reading;
    }
}

}  // namespace

// ---- BufferCursor

BufferCursor::BufferCursor(std::span<const iovec> buffers) noexcept : buffers_{buffers} {
    for (const iovec& buffer : buffers) left_ += std::min<std::uint64_t>(buffer.iov_len, kMostBytes - left_);
    skip_empty();
}

void BufferCursor::skip_empty() noexcept {
    while (left_ > 0 && offset_ >= buffers_.front().iov_len) {
        buffers_ = buffers_.subspan(1);
        offset_ = 0;
    }
}

iovec BufferCursor::front() const noexcept {
    const iovec& buffer = buffers_.front();
    return {static_cast<std::byte*>(buffer.iov_base) + offset_,
            std::min<std::uint64_t>(buffer.iov_len - offset_, left_)};
}

void BufferCursor::advance(std::uint64_t bytes) noexcept {
    while (bytes > 0) {
        const std::uint64_t step = std::min<std::uint64_t>(bytes, front().iov_len);
        offset_ += step;
        left_ -= step;
        bytes -= step;
        skip_empty();
    }
}

// ---- Transfer

bool Transfer::is_one(long number) noexcept {
    switch (number) {
        case SYS_read:
        case SYS_write:
        case SYS_pread64:
        case SYS_pwrite64:
        case SYS_readv:
        case SYS_writev:
        case SYS_preadv:
        case SYS_pwritev:
        case SYS_preadv2:
        case SYS_pwritev2:
        case SYS_recvfrom:
        case SYS_sendto:
        case SYS_recvmsg:
        case SYS_sendmsg:
            return true;
        default:
            return false;
    }
}

Transfer::Transfer(const Call& call) noexcept : call_{call}, purpose_{purpose_of(call.number)} {
    const auto& a = call.arguments;
    switch (call.number) {
        case SYS_pread64:
        case SYS_pwrite64:
            via_ = Via::positioned;
            read_buffer(a[1], a[2]);
            break;
        case SYS_readv:
        case SYS_writev:
            read_buffers(a[1], a[2]);
            break;
        case SYS_preadv:
        case SYS_pwritev:
            via_ = Via::positioned;
            read_buffers(a[1], a[2]);
            break;
        case SYS_preadv2:
        case SYS_pwritev2:
            via_ = Via::flagged;
            flags_ = static_cast<unsigned>(a[5]);
            read_buffers(a[1], a[2]);
            break;
        case SYS_recvfrom:
        case SYS_sendto:
            read_addressed();
            break;
        case SYS_recvmsg:
        case SYS_sendmsg:
            read_message(a[1]);
            break;
        default:
            read_buffer(a[1], a[2]);
            break;
    }
}

void Transfer::read_buffer(std::uint64_t address, std::uint64_t bytes) noexcept {
    single_ = {pointer<void>(address), bytes};
    buffers_ = {&single_, 1};
    senseless_ = bytes > SSIZE_MAX;
}

void Transfer::read_buffers(std::uint64_t address, std::uint64_t count) noexcept {
    senseless_ = count > IOV_MAX || !permits(address, count * sizeof(iovec), PinFor::reading);
    if (senseless_) return;
    given_buffers_ = address;
    buffers_ = {pointer<const iovec>(address), count};
    for (const iovec& buffer : buffers_) senseless_ = senseless_ || buffer.iov_len > SSIZE_MAX;
}

void Transfer::read_addressed() noexcept {
    const auto& a = call_.arguments;
    via_ = Via::message;
    flags_ = static_cast<unsigned>(a[3]);
    read_buffer(a[1], a[2]);
    // Unmanaged memory stays with the kernel, which reports invalid addresses.
    if (!is_managed(a[1], a[2]) && !is_managed(a[4], 1) && !is_managed(a[5], sizeof(socklen_t))) return;
    name_ = a[4];
    if (name_ == 0) return;
    if (call_.number == SYS_sendto) {
        name_bytes_ = a[5] & UINT_MAX;
    } else if (const std::optional<socklen_t> length = load<socklen_t>(a[5])) {
        name_length_at_ = a[5];
        name_bytes_ = *length;
    } else {
        senseless_ = true;
    }
    senseless_ = senseless_ || name_bytes_ > INT_MAX;
}

void Transfer::read_message(std::uint64_t address) noexcept {
    via_ = Via::message;
    flags_ = static_cast<unsigned>(call_.arguments[2]);
    const std::optional<msghdr> given = load<msghdr>(address);
    senseless_ = !given;
    if (senseless_) return;
    given_message_ = address;
    const msghdr& message = *given;
    read_buffers(sys::syscall_argument(message.msg_iov), message.msg_iovlen);
    name_ = sys::syscall_argument(message.msg_name);
    name_bytes_ = name_ != 0 ? message.msg_namelen : 0;
    control_ = sys::syscall_argument(message.msg_control);
    control_bytes_ = control_ != 0 ? message.msg_controllen : 0;
    senseless_ = senseless_ || name_bytes_ > INT_MAX || control_bytes_ > INT_MAX;
}

long Transfer::make(std::span<iovec> vectors, std::uint64_t moved, std::uint64_t mask, Patience patience) const {
    if (via_ == Via::message) return make_message(vectors, moved, mask, patience);
    const Call call = call_on(vectors, moved, patience);
    return patience == Patience::none ? bare_call(call) : interruptible_call(call, mask);
}

Call Transfer::call_on(std::span<iovec> vectors, std::uint64_t moved, Patience patience) const noexcept {
    const auto& a = call_.arguments;
    const bool reads = purpose_ == PinFor::writing;
    const std::uint64_t list = sys::syscall_argument(vectors.data());
    std::uint64_t offset = kNoPosition;
    if (via_ == Via::positioned || (via_ == Via::flagged && a[3] != kNoPosition)) offset = a[3] + moved;
    const std::uint64_t flags = flags_ | (patience == Patience::none ? RWF_NOWAIT : 0U);
    if (via_ == Via::flagged || flags != 0) {
        return {reads ? SYS_preadv2 : SYS_pwritev2, {a[0], list, vectors.size(), offset, 0, flags}};
    }
    if (via_ == Via::positioned) return {reads ? SYS_preadv : SYS_pwritev, {a[0], list, vectors.size(), offset}};
    return {reads ? SYS_readv : SYS_writev, {a[0], list, vectors.size()}};
}

/// Sends control data with the first part of a message only.
long Transfer::make_message(std::span<iovec> vectors, std::uint64_t moved, std::uint64_t mask,
                            Patience patience) const {
    sockaddr_storage name{};
    Scratch control{moved == 0 ? control_bytes_ : 0};
    if (moved == 0 && control_bytes_ > 0 && !control) return -ENOMEM;
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = vectors.size();
    message.msg_name = name_ != 0 ? &name : nullptr;
    message.msg_namelen = static_cast<socklen_t>(std::min<std::uint64_t>(name_bytes_, sizeof name));
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const bool receives = purpose_ == PinFor::writing;
    if (!receives) {
        if (name_bytes_ > sizeof name) return -EINVAL;
        if (!permits(name_, message.msg_namelen, PinFor::reading) ||
            !permits(control_, control.size(), PinFor::reading)) {
            return -EFAULT;
        }
        std::memcpy(&name, pointer<const void>(name_), message.msg_namelen);
        if (control) std::memcpy(control.data(), pointer<const void>(control_), control.size());
    }
    const bool waits = patience == Patience::of_program;
    const unsigned flags = waits ? flags_ : (flags_ & ~unsigned{MSG_WAITALL}) | MSG_DONTWAIT;
    const Call call{receives ? SYS_recvmsg : SYS_sendmsg, {call_.arguments[0], sys::syscall_argument(&message), flags}};
    const long result = waits ? interruptible_call(call, mask) : bare_call(call);
    const bool gives_back = receives && result >= 0 && moved == 0;
    return gives_back && !give_back(message) ? -EFAULT : result;
}

/// Writes the results to the program's memory. Returns false if its protection forbids that.
bool Transfer::give_back(const msghdr& message) const noexcept {
    const std::uint64_t name_bytes =
        std::min<std::uint64_t>({name_bytes_, message.msg_namelen, sizeof(sockaddr_storage)});
    const std::uint64_t control_bytes = std::min<std::uint64_t>(control_bytes_, message.msg_controllen);
    const bool writable = permits(name_, name_bytes, PinFor::writing) &&
                          permits(control_, control_bytes, PinFor::writing) &&
                          permits(name_length_at_, name_length_at_ != 0 ? sizeof(socklen_t) : 0, PinFor::writing) &&
                          permits(given_message_, given_message_ != 0 ? sizeof(msghdr) : 0, PinFor::writing);
    if (!writable) return false;
    if (name_bytes > 0) std::memcpy(pointer<void>(name_), message.msg_name, name_bytes);
    if (name_length_at_ != 0) *pointer<socklen_t>(name_length_at_) = message.msg_namelen;
    if (control_bytes > 0) std::memcpy(pointer<void>(control_), message.msg_control, control_bytes);
    if (given_message_ == 0) return true;
    msghdr& given = *pointer<msghdr>(given_message_);
    if (name_ != 0) given.msg_namelen = message.msg_namelen;
    given.msg_controllen = message.msg_controllen;
    given.msg_flags = message.msg_flags;
    return true;
}

}  // namespace faultline::preload
