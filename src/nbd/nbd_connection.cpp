#include "nbd/nbd_connection.hpp"

#include <libnbd.h>
#include <poll.h>

#include <cerrno>
#include <system_error>

namespace faultline::nbd {
namespace {

std::string last_text() {
    const char* const text = nbd_get_error();
    return text != nullptr ? text : "no reason given";
}
int last_errno() noexcept { return nbd_get_errno() != 0 ? nbd_get_errno() : EIO; }

/// libnbd calls it with the reply; it returns 1, and the command is retired.
int take_reply(void* request, int* error) {
    auto& ended = *static_cast<NbdRequest*>(request);
    ended.error = *error;
    ended.ended = true;
    return 1;
}

}  // namespace

void NbdConnection::Close::operator()(nbd_handle* handle) const noexcept { nbd_close(handle); }

NbdConnection::NbdConnection(const std::string& uri) : handle_{nbd_create()} {
    if (handle_ == nullptr) {
        throw std::system_error{last_errno(), std::generic_category(), "libnbd cannot make a handle: " + last_text()};
    }
    if (nbd_aio_connect_uri(handle_.get(), uri.c_str()) == 0) return;
    note_failure();
    if (error_ != EINVAL) return;  // the connection is lost, and may be tried again
    throw std::system_error{EINVAL, std::generic_category(), "cannot use the NBD URI '" + uri + "': " + reason_};
}

NbdConnection::State NbdConnection::state() const noexcept {
    if (error_ != 0 || nbd_aio_is_dead(handle_.get()) == 1 || nbd_aio_is_closed(handle_.get()) == 1) return State::lost;
    return nbd_aio_is_connecting(handle_.get()) == 1 ? State::connecting : State::ready;
}

std::uint64_t NbdConnection::size() const noexcept {
    const std::int64_t bytes = nbd_get_size(handle_.get());
    return bytes > 0 ? static_cast<std::uint64_t>(bytes) : 0;
}
bool NbdConnection::is_read_only() const noexcept { return nbd_is_read_only(handle_.get()) == 1; }
bool NbdConnection::can_trim() const noexcept { return nbd_can_trim(handle_.get()) == 1; }
std::uint64_t NbdConnection::smallest_request() const noexcept {
    const std::int64_t bytes = nbd_get_block_size(handle_.get(), LIBNBD_SIZE_MINIMUM);
    return bytes > 0 ? static_cast<std::uint64_t>(bytes) : 1;  // the server does not say
}

void NbdConnection::send(NbdRequest& request) noexcept {
    const nbd_completion_callback on_reply{take_reply, &request, nullptr};
    std::int64_t cookie = -1;
    switch (request.kind) {
        case NbdRequest::Kind::read:
            cookie = nbd_aio_pread(handle_.get(), request.data, request.bytes, request.offset, on_reply, 0);
            break;
        case NbdRequest::Kind::write:
            cookie = nbd_aio_pwrite(handle_.get(), request.data, request.bytes, request.offset, on_reply, 0);
            break;
        case NbdRequest::Kind::trim:
            cookie = nbd_aio_trim(handle_.get(), request.bytes, request.offset, on_reply, 0);
            break;
    }
    if (cookie >= 0 || request.ended) return;
    // A connection that has just been lost refuses the call.
    request.error = state() == State::ready ? last_errno() : ENOTCONN;
    request.ended = true;
}

void NbdConnection::wait(int wake, std::chrono::milliseconds longest) noexcept {
    const unsigned direction = nbd_aio_get_direction(handle_.get());
    pollfd fds[2]{{wake, POLLIN, 0}, {nbd_aio_get_fd(handle_.get()), 0, 0}};
    if ((direction & LIBNBD_AIO_DIRECTION_READ) != 0) fds[1].events |= POLLIN;
    if ((direction & LIBNBD_AIO_DIRECTION_WRITE) != 0) fds[1].events |= POLLOUT;
    if (::poll(fds, 2, static_cast<int>(longest.count())) <= 0) return;  // EINTR: the caller looks again
    const bool broken = (fds[1].revents & (POLLERR | POLLNVAL)) != 0;
    const bool readable = (fds[1].revents & (POLLIN | POLLHUP)) != 0;
    int result = 0;
    if (readable && (direction & LIBNBD_AIO_DIRECTION_READ) != 0) {
        result = nbd_aio_notify_read(handle_.get());
    } else if (((fds[1].revents & POLLOUT) != 0 || readable) && (direction & LIBNBD_AIO_DIRECTION_WRITE) != 0) {
        result = nbd_aio_notify_write(handle_.get());
    } else if (broken) {
        result = (direction & LIBNBD_AIO_DIRECTION_READ) != 0 ? nbd_aio_notify_read(handle_.get())
                                                              : nbd_aio_notify_write(handle_.get());
    }
    if (result == -1) note_failure();
}

void NbdConnection::note_failure() noexcept {
    error_ = last_errno();
    reason_ = last_text();
}

}  // namespace faultline::nbd
