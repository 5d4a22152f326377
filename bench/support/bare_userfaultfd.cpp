// See bare_userfaultfd.hpp.
#include "support/bare_userfaultfd.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>

#include <stdexcept>

#include "support/kernel_uffd.hpp"
#include "support/system_call.hpp"

namespace bench {
namespace {

std::uint64_t number(const std::byte* address) noexcept { return reinterpret_cast<std::uintptr_t>(address); }

// Only faults from user mode are measured, which every user may handle. Faults from the kernel need root.
faultline::sys::FileDescriptor open_userfaultfd(BareUserfaultfd::Reading reading) {
    const int flags = O_CLOEXEC | (reading == BareUserfaultfd::Reading::polled ? O_NONBLOCK : 0);
    const long fd = check(::syscall(SYS_userfaultfd, flags | UFFD_USER_MODE_ONLY), "userfaultfd");
    return faultline::sys::FileDescriptor{static_cast<int>(fd)};
}

}  // namespace

BareUserfaultfd::BareUserfaultfd(std::uint64_t features, Reading reading)
    : fd_{open_userfaultfd(reading)}, reading_{reading} {
    uffdio_api api{.api = UFFD_API, .features = features, .ioctls = 0};
    check(::ioctl(fd_.get(), UFFDIO_API, &api), "UFFDIO_API: a feature is not in this kernel");
}

void BareUserfaultfd::watch(std::byte* address, std::size_t bytes) {
    uffdio_register range{};
    range.range = {number(address), bytes};
    range.mode = UFFDIO_REGISTER_MODE_MISSING;
    check(::ioctl(fd_.get(), UFFDIO_REGISTER, &range), "UFFDIO_REGISTER");
}

bool BareUserfaultfd::copy(std::byte* to, const std::byte* source, std::size_t bytes) const noexcept {
    uffdio_copy request{.dst = number(to), .src = number(source), .len = bytes, .mode = 0, .copy = 0};
    return ::ioctl(fd_.get(), UFFDIO_COPY, &request) == 0;
}

bool BareUserfaultfd::zero(std::byte* to, std::size_t bytes) const noexcept {
    uffdio_zeropage request{.range = {number(to), bytes}, .mode = 0, .zeropage = 0};
    return ::ioctl(fd_.get(), UFFDIO_ZEROPAGE, &request) == 0;
}

bool BareUserfaultfd::move(std::byte* to, std::byte* source, std::size_t bytes) const noexcept {
    UffdioMove request{.dst = number(to), .src = number(source), .len = bytes, .mode = 0, .move = 0};
    return ::ioctl(fd_.get(), kUffdioMove, &request) == 0;
}

std::byte* BareUserfaultfd::next_fault() const {
    if (reading_ == Reading::polled) {
        pollfd file{fd_.get(), POLLIN, 0};
        while (::poll(&file, 1, -1) == -1) {
            if (errno != EINTR) throw_errno("poll of a userfaultfd");
        }
    }
    uffd_msg message{};
    const ssize_t bytes = ::read(fd_.get(), &message, sizeof message);
    if (bytes == -1 && (errno == EAGAIN || errno == EINTR)) return nullptr;
    check(bytes, "read of a userfaultfd");
    if (message.event != UFFD_EVENT_PAGEFAULT) throw std::runtime_error{"userfaultfd: not a page fault"};
    return reinterpret_cast<std::byte*>(static_cast<std::uintptr_t>(message.arg.pagefault.address));
}

}  // namespace bench
