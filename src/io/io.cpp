// faultline::io. Finds the managed parts of the buffers, pins as much of their front as possible, calls the C library's
// function on that front, and unpins.
// Nothing here throws or allocates. No function that makes the call is noexcept, because the calls are cancellation
// points: glibc unwinds the stack of a cancelled thread.

#include "core/units.hpp"
#include "pager/pager.hpp"
#include "pager/region/region.hpp"
#include "pager/region/region_map.hpp"
#include "pager/region/region_reader.hpp"
#include "sys/descriptor_kind.hpp"
#include "sys/signal_block.hpp"

#include <faultline/io.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>

namespace faultline {
inline namespace v0 {
namespace io {
namespace {

using core::PageRange;
using pager::PinAmount;
using pager::PinnedFront;
using pager::Region;
using pager::RegionMap;
using pager::RegionReader;

static_assert(std::is_same_v<ssize_t, std::ptrdiff_t> && std::is_same_v<off_t, std::int64_t>,
              "the public header spells POSIX's types out");

constexpr std::size_t kMostBuffers = IOV_MAX;
constexpr std::size_t kMostRegionsOfABuffer = 64;

/// Maximum of managed bytes in a transfer that may be short. More would keep frames from other pages and gain nothing.
constexpr std::size_t kWindowBytes = std::size_t{1} << 20;

/// Pages of one region that a call has pinned; the call is a user of the region.
struct Held {
    Region* region;
    std::uint32_t first;
    std::uint32_t count;
};

/// The part of the buffers' front that the kernel may use: all bytes, or fewer and an error that tells why.
struct Front {
    std::size_t bytes;
    int error;
};

/// The pins of one call, released when it ends.
class HeldPages {
public:
    /// Stores the list of pins in `room`.
    HeldPages(std::span<Held> room, PinFor purpose) noexcept : room_{room}, purpose_{purpose} {}
    ~HeldPages() { release(); }
    HeldPages(const HeldPages&) = delete;
    HeldPages& operator=(const HeldPages&) = delete;

    /// Pins the managed pages of the buffers' front.
    [[nodiscard]] Front hold(std::span<const iovec> buffers, PinAmount amount) noexcept {
        amount_ = amount;
        window_ = amount == PinAmount::all ? SIZE_MAX : kWindowBytes;
        error_ = 0;
        // A region that was found is not destroyed: until the call is one of its users, a reader protects it.
        std::optional<RegionReader> reader;
        {
            const sys::SignalBlock signals;
            reader.emplace();
        }
        std::size_t bytes = 0;
        for (const iovec& buffer : buffers) {
            bytes += hold_buffer(core::address_of(buffer.iov_base), buffer.iov_len);
            if (error_ != 0) break;
        }
        return {bytes, error_};
    }

    /// Unpins. Keeps errno, which the system call has set.
    void release() noexcept {
        const int call_error = errno;
        for (const Held& held : room_.first(count_)) {
            held.region->pager().unpin(*held.region, {held.first, held.count});
            const std::shared_ptr<void> last = held.region->users().remove();
        }
        count_ = 0;
        errno = call_error;
    }

private:
    /// Returns how many bytes of the buffer's front are pinned or unmanaged; `error_` says why not all.
    [[nodiscard]] std::size_t hold_buffer(std::uintptr_t begin, std::size_t bytes) noexcept {
        const std::uintptr_t end = begin + bytes;
        for (std::uintptr_t at = begin; at < end;) {
            Region* const region = RegionMap::find_from(at);
            if (region == nullptr || region->begin() >= end) break;
            at = std::max(at, region->begin());
            const std::uintptr_t stop = std::min(end, region->end());
            at = hold_in(*region, at, stop);
            if (at < stop) return at - begin;
        }
        return bytes;
    }

    /// Pins in [begin, end), which lies in `region` and is not empty. Returns the end of the pinned part.
    [[nodiscard]] std::uintptr_t hold_in(Region& region, std::uintptr_t begin, std::uintptr_t end) noexcept {
        if (window_ == 0) {
            error_ = ENOMEM;
            return begin;
        }
        const std::uintptr_t stop = std::min(window_, end - begin) + begin;
        window_ -= stop - begin;
        const std::uint64_t first = region.page_of(begin);
        const PageRange touched{first, region.page_of(stop - 1) - first + 1};
        const std::uint64_t have = already_held(region, touched);
        const PageRange wanted{first + have, touched.count - have};
        const PinnedFront got = pin(region, wanted);
        if (got.pages == wanted.count) {
            if (stop < end) error_ = ENOMEM;
            return stop;
        }
        error_ = meaning_of(got.error);
        return std::max(begin, core::address_of(region.address_of(wanted.first + got.pages)));
    }

    [[nodiscard]] PinnedFront pin(Region& region, PageRange wanted) noexcept {
        if (wanted.count == 0) return {0, 0};
        if (count_ == room_.size()) return {0, ENOMEM};
        if (!region.users().add()) return {0, EACCES};
        const PinnedFront got = region.pager().pin_front(region, wanted, purpose_, amount_);
        // Also if no page was pinned: a reader must not take its user off, because it may be the last.
        room_[count_++] = {&region, static_cast<std::uint32_t>(wanted.first), static_cast<std::uint32_t>(got.pages)};
        return got;
    }

    /// Returns how many of the range's first pages the previous buffer has pinned. Small buffers that are neighbours
    /// share a page; the pins of a page are limited in number, and each counts against the resident limit.
    [[nodiscard]] std::uint64_t already_held(const Region& region, PageRange range) const noexcept {
        if (count_ == 0) return 0;
        const Held& last = room_[count_ - 1];
        const std::uint64_t end = std::uint64_t{last.first} + last.count;
        if (last.region != &region || range.first < last.first || range.first >= end) return 0;
        return std::min(range.count, end - range.first);
    }

    /// Returns the errno for read or write. ENOSPC would mean the disk that the program writes to.
    static int meaning_of(int pin_error) noexcept {
        return pin_error == EACCES ? EFAULT : pin_error == EIO ? EIO : ENOMEM;
    }

    std::span<Held> room_;
    std::size_t count_ = 0;
    PinFor purpose_;
    PinAmount amount_ = PinAmount::all;
    std::size_t window_ = 0;  // managed bytes that may still be pinned
    int error_ = 0;
};

/// The descriptor, the purpose of the pins, and the flags of send and recv.
struct Request {
    int descriptor;
    PinFor purpose;
    int flags = 0;
};

/// Returns the least bytes to transfer on a pipe. A read of at most PIPE_BUF bytes may take a packet, and a cut packet
/// is lost: the reading end cannot tell. A write of at most PIPE_BUF bytes is atomic, as is every write to a packet
/// pipe.
std::size_t shortest_on_pipe(int descriptor, std::size_t bytes, PinFor purpose) {
    if (purpose == PinFor::writing) return std::min<std::size_t>(bytes, PIPE_BUF);
    return bytes <= PIPE_BUF || (sys::open_flags(descriptor) & O_DIRECT) != 0 ? bytes : 1;
}

/// Returns the least bytes to transfer such that no bytes are lost, and bytes that readers expect together stay
/// together.
std::size_t shortest_transfer(const Request& request, std::size_t bytes) {
    if ((request.flags & MSG_WAITALL) != 0) return bytes;
    switch (sys::descriptor_kind(request.descriptor)) {
        case sys::DescriptorKind::closed:  // the call itself reports the error
        case sys::DescriptorKind::file:
        case sys::DescriptorKind::memory_device:
        case sys::DescriptorKind::terminal:
        case sys::DescriptorKind::stream_socket:
            return 1;
        case sys::DescriptorKind::pipe:
            return shortest_on_pipe(request.descriptor, bytes, request.purpose);
        case sys::DescriptorKind::message_socket:
        case sys::DescriptorKind::other:
            return bytes;
    }
    return bytes;
}

/// Returns the bytes in all buffers; a value above SSIZE_MAX if the sum is larger or overflows.
std::size_t total_bytes(std::span<const iovec> buffers) {
    std::size_t total = 0;
    for (const iovec& buffer : buffers) {
        if (buffer.iov_len > SSIZE_MAX - std::min<std::size_t>(total, SSIZE_MAX)) return SIZE_MAX;
        total += buffer.iov_len;
    }
    return total;
}

/// Cuts the buffers to their first `bytes` bytes.
std::span<iovec> cut(std::span<iovec> buffers, std::size_t bytes) {
    std::size_t count = 0;
    while (bytes > 0) {
        iovec& buffer = buffers[count++];
        buffer.iov_len = std::min(buffer.iov_len, bytes);
        bytes -= buffer.iov_len;
    }
    return buffers.first(count);
}

/// Runs `call` on the part of `buffers` that can be pinned; changes `buffers`. `room`: storage for the list of pins.
template <typename Call>
ssize_t transfer(const Request& request, std::span<iovec> buffers, std::span<Held> room, Call call) {
    const std::size_t bytes = total_bytes(buffers);
    if (bytes > SSIZE_MAX) {  // the result could not represent it
        errno = EINVAL;
        return -1;
    }
    HeldPages pages{room, request.purpose};
    Front front = pages.hold(buffers, PinAmount::fair_share);
    if (front.error == 0) return call(buffers);
    const std::size_t shortest = shortest_transfer(request, bytes);
    if (front.bytes < shortest && shortest > 1) {
        pages.release();
        buffers = cut(buffers, shortest);
        front = pages.hold(buffers, PinAmount::all);
        if (front.error == 0) return call(buffers);
    }
    if (front.bytes < shortest) {
        errno = front.error;
        return -1;
    }
    return call(cut(buffers, front.bytes));
}

/// Runs `call` with the number of bytes that it may transfer.
template <typename Call>
ssize_t transfer_one(const Request& request, const void* buffer, std::size_t bytes, Call call) {
    std::array<Held, kMostRegionsOfABuffer> room;
    iovec whole{const_cast<void*>(buffer), bytes};
    return transfer(request, {&whole, 1}, room, [&](std::span<const iovec> front) { return call(front[0].iov_len); });
}

template <typename Call>
ssize_t transfer_many(const Request& request, const iovec* buffers, int count, Call call) {
    if (count <= 0 || count > static_cast<int>(kMostBuffers)) return call(buffers, count);
    std::array<Held, kMostBuffers + kMostRegionsOfABuffer> room;
    std::array<iovec, kMostBuffers> copy;
    std::copy_n(buffers, count, copy.begin());
    return transfer(request, std::span{copy}.first(static_cast<std::size_t>(count)), room,
                    [&](std::span<const iovec> front) { return call(front.data(), static_cast<int>(front.size())); });
}

}  // namespace

std::ptrdiff_t read(int descriptor, void* buffer, std::size_t bytes) {
    return transfer_one({descriptor, PinFor::writing}, buffer, bytes,
                        [&](std::size_t front) { return ::read(descriptor, buffer, front); });
}

std::ptrdiff_t write(int descriptor, const void* buffer, std::size_t bytes) {
    return transfer_one({descriptor, PinFor::reading}, buffer, bytes,
                        [&](std::size_t front) { return ::write(descriptor, buffer, front); });
}

std::ptrdiff_t pread(int descriptor, void* buffer, std::size_t bytes, std::int64_t offset) {
    return transfer_one({descriptor, PinFor::writing}, buffer, bytes,
                        [&](std::size_t front) { return ::pread(descriptor, buffer, front, offset); });
}

std::ptrdiff_t pwrite(int descriptor, const void* buffer, std::size_t bytes, std::int64_t offset) {
    return transfer_one({descriptor, PinFor::reading}, buffer, bytes,
                        [&](std::size_t front) { return ::pwrite(descriptor, buffer, front, offset); });
}

std::ptrdiff_t readv(int descriptor, const iovec* buffers, int count) {
    return transfer_many({descriptor, PinFor::writing}, buffers, count,
                         [&](const iovec* front, int parts) { return ::readv(descriptor, front, parts); });
}

std::ptrdiff_t writev(int descriptor, const iovec* buffers, int count) {
    return transfer_many({descriptor, PinFor::reading}, buffers, count,
                         [&](const iovec* front, int parts) { return ::writev(descriptor, front, parts); });
}

std::ptrdiff_t recv(int socket, void* buffer, std::size_t bytes, int flags) {
    return transfer_one({socket, PinFor::writing, flags}, buffer, bytes,
                        [&](std::size_t front) { return ::recv(socket, buffer, front, flags); });
}

std::ptrdiff_t send(int socket, const void* buffer, std::size_t bytes, int flags) {
    // MSG_WAITALL has a meaning for recv only.
    return transfer_one({socket, PinFor::reading, flags & ~MSG_WAITALL}, buffer, bytes,
                        [&](std::size_t front) { return ::send(socket, buffer, front, flags); });
}

}  // namespace io
}  // namespace v0
}  // namespace faultline
