// Transfers of several parts: sendmmsg(2), recvmmsg(2), and vmsplice(2), which may stop anywhere.

#include "core/units.hpp"
#include "preload/pinned_memory.hpp"
#include "preload/program_call.hpp"
#include "preload/program_memory.hpp"
#include "preload/transfer.hpp"
#include "preload/transfers.hpp"
#include "sys/descriptor_kind.hpp"
#include "sys/syscall.hpp"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>

namespace faultline::preload {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

bool is_valid(const timespec& time) noexcept {
    return time.tv_sec >= 0 && time.tv_nsec >= 0 && time.tv_nsec < 1'000'000'000;
}

std::int64_t nanoseconds(const timespec& time) noexcept {
    constexpr std::int64_t kMostSeconds = std::int64_t{1} << 33;
    return std::min<std::int64_t>(time.tv_sec, kMostSeconds) * 1'000'000'000 + time.tv_nsec;
}

std::int64_t now() noexcept {
    timespec time{};
    static_cast<void>(raw_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, syscall_argument(&time)));
    return nanoseconds(time);
}

/// The timeout of recvmmsg(2). The kernel checks it after each message and stores the time that is left.
class TimeLimit {
public:
    explicit TimeLimit(timespec* given) noexcept
        : given_{given}, end_{given != nullptr ? now() + nanoseconds(*given) : 0} {}
    [[nodiscard]] bool is_over() noexcept {
        if (given_ == nullptr) return false;
        const std::int64_t left = std::max<std::int64_t>(end_ - now(), 0);
        *given_ = {left / 1'000'000'000, left % 1'000'000'000};
        return left == 0;
    }

private:
    timespec* given_;
    std::int64_t end_;
};

/// Makes sendmsg(2) or recvmsg(2) for one message of a list.
long move_message(const Call& call, mmsghdr& message, unsigned flags, std::uint64_t mask) {
    const long number = call.number == SYS_recvmmsg ? SYS_recvmsg : SYS_sendmsg;
    return make_transfer({number, {call.arguments[0], syscall_argument(&message.msg_hdr), flags}}, mask);
}

bool any_managed(const Call& call, std::uint64_t count) noexcept {
    const auto& a = call.arguments;
    if (is_managed(a[1], count * sizeof(mmsghdr)) || is_managed(a[4], sizeof(timespec))) return true;
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t message = syscall_argument(&pointer<mmsghdr>(a[1])[i].msg_hdr);
        if (touches_managed_memory(Transfer{{SYS_recvmsg, {a[0], message, 0}}})) return true;
    }
    return false;
}

/// Writes one page: a pipe that poll reports as writable has room for that much.
long write_page(const Transfer& transfer, std::uint64_t mask) {
    const iovec first = BufferCursor{transfer.buffers()}.front();
    const std::uint64_t bytes = std::min<std::uint64_t>(first.iov_len, core::kUnitBytes);
    return make_transfer({SYS_write, {transfer.call().arguments[0], syscall_argument(first.iov_base), bytes}}, mask);
}

bool is_writable(int pipe) noexcept {
    pollfd asked{pipe, POLLOUT, 0};
    return raw_syscall(SYS_poll, syscall_argument(&asked), 1, 0) == 1;
}

/// Moves as much as the pipe has room for. Waits only if it has no room at all.
long splice_into_pipe(const Transfer& transfer, unsigned flags, std::uint64_t mask) {
    constexpr std::uint64_t kNoPosition = ~std::uint64_t{0};
    const auto& a = transfer.call().arguments;
    const long moved = make_transfer({SYS_pwritev2, {a[0], a[1], a[2], kNoPosition, 0, RWF_NOWAIT}}, mask);
    if (moved != -EAGAIN && moved != -EOPNOTSUPP) return moved;
    const bool waits = (flags & SPLICE_F_NONBLOCK) == 0 && (sys::open_flags(transfer.descriptor()) & O_NONBLOCK) == 0;
    if (!waits && (moved == -EAGAIN || !is_writable(transfer.descriptor()))) return -EAGAIN;
    return write_page(transfer, mask);
}

long splice_from_pipe(const Transfer& transfer, unsigned flags, std::uint64_t mask) {
    constexpr std::uint64_t kNoPosition = ~std::uint64_t{0};
    const auto& a = transfer.call().arguments;
    if ((flags & SPLICE_F_NONBLOCK) != 0) {
        const long moved = make_transfer({SYS_preadv2, {a[0], a[1], a[2], kNoPosition, 0, RWF_NOWAIT}}, mask);
        if (moved != -EOPNOTSUPP) return moved;
    }
    return make_transfer({SYS_readv, {a[0], a[1], a[2]}}, mask);
}

}  // namespace

long make_message_transfers(const Call& call, std::uint64_t mask) {
    const auto& a = call.arguments;
    const bool receives = call.number == SYS_recvmmsg;
    const std::uint64_t wanted = std::min<std::uint64_t>(a[2] & UINT_MAX, IOV_MAX);
    const std::uint64_t count = permitted_bytes(a[1], wanted * sizeof(mmsghdr), PinFor::reading) / sizeof(mmsghdr);
    auto* const time = receives ? pointer<timespec>(a[4]) : nullptr;
    const bool time_is_writable = time == nullptr || permits(a[4], sizeof *time, PinFor::writing);
    if (count == 0 || !time_is_writable || (time != nullptr && !is_valid(*time)) || !any_managed(call, count)) {
        return interruptible_call(call, mask);
    }
    TimeLimit limit{time};
    auto flags = static_cast<unsigned>(a[3]);
    const bool waits_for_one = receives && (flags & MSG_WAITFORONE) != 0;
    flags &= ~static_cast<unsigned>(MSG_WAITFORONE);
    std::uint64_t done = 0;
    while (done < count && !(done > 0 && handler_is_due(mask))) {
        mmsghdr& message = pointer<mmsghdr>(a[1])[done];
        const long result = move_message(call, message, flags, mask);
        if (result < 0) return done > 0 ? static_cast<long>(done) : result;
        if (!permits(syscall_argument(&message.msg_len), sizeof message.msg_len, PinFor::writing))
            return done > 0 ? static_cast<long>(done) : -EFAULT;
        message.msg_len = static_cast<unsigned>(result);
        ++done;
        if (waits_for_one) flags |= MSG_DONTWAIT;
        if (limit.is_over() || (receives && (message.msg_hdr.msg_flags & MSG_OOB) != 0)) break;
    }
    return static_cast<long>(done);
}

long make_vmsplice(const Call& call, std::uint64_t mask) {
    const auto& a = call.arguments;
    const auto flags = static_cast<unsigned>(a[3]);
    const Transfer transfer{{SYS_writev, {a[0], a[1], a[2]}}};
    if (transfer.is_senseless() || !touches_managed_memory(transfer) || BufferCursor{transfer.buffers()}.left() == 0 ||
        sys::descriptor_kind(transfer.descriptor()) != sys::DescriptorKind::pipe) {
        return interruptible_call(call, mask);
    }
    const bool reads = (sys::open_flags(transfer.descriptor()) & O_ACCMODE) == O_RDONLY;
    return reads ? splice_from_pipe(transfer, flags, mask) : splice_into_pipe(transfer, flags, mask);
}

}  // namespace faultline::preload
