#include "sys/userfaultfd.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "sys/error.hpp"
#include "sys/kernel_abi.hpp"
#include "sys/mapping.hpp"
#include "sys/syscall.hpp"
#include "sys/transient.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <string>

namespace faultline::sys {
namespace {

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

/// The kernel checks the permission at this open, not at later ioctls on the device.
FileDescriptor open_device() noexcept { return FileDescriptor{::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC)}; }

FileDescriptor open_from_device(const FileDescriptor& kept) noexcept {
    const FileDescriptor opened = kept ? FileDescriptor{} : open_device();
    const FileDescriptor& device = kept ? kept : opened;
    if (!device) return {};
    return FileDescriptor{::ioctl(device.get(), abi::kUserfaultfdDeviceNew, O_CLOEXEC)};
}

FileDescriptor open_userfaultfd(bool user_mode_only, const FileDescriptor& device = {}) {
    const int flags = O_CLOEXEC | (user_mode_only ? UFFD_USER_MODE_ONLY : 0);
    FileDescriptor opened{static_cast<int>(::syscall(SYS_userfaultfd, flags))};
    if (opened) return opened;
    const int error = errno;
    if (error == EPERM) {
        FileDescriptor from_device = open_from_device(device);
        if (from_device) return from_device;
        throw_error(error,
                    user_mode_only
                        ? "this process may not use userfaultfd (a seccomp filter?)"
                        : "this process may not handle faults of the kernel itself by userfaultfd: be root, have "
                          "CAP_SYS_PTRACE or access to /dev/userfaultfd, set `sysctl "
                          "vm.unprivileged_userfaultfd=1`, or use Delivery::uffd_signal");
    }
    if (error == ENOSYS) {
        throw_error(error, "this kernel has no userfaultfd (CONFIG_USERFAULTFD), or a seccomp filter hides it");
    }
    throw_error(error, error == EMFILE || error == ENFILE ? "cannot open a userfaultfd: raise `ulimit -n`"
                                                          : "cannot open a userfaultfd");
}

std::uint64_t negotiate(int fd, std::uint64_t features) {
    uffdio_api api{};
    api.api = UFFD_API;
    api.features = features;
    if (::ioctl(fd, UFFDIO_API, &api) != 0) {
        throw_error(errno, "this kernel's userfaultfd lacks write-protection or exact addresses: Linux 5.18 is needed");
    }
    return api.features;
}

/// Returns the features of this kernel. Uses a descriptor of its own, because a second UFFDIO_API on one is refused.
std::uint64_t available_features(bool user_mode_only) {
    const FileDescriptor probe = open_userfaultfd(user_mode_only);
    return negotiate(probe.get(), 0);
}

/// Ends the process if the error shows that no userfaultfd is behind the descriptor, or that the call does not reach
/// it. Absent pages could not be mapped any more.
void require_reachable(int error) FAULTLINE_SIGNAL_SAFE {
    const bool lost = error == ENOSYS || error == EPERM || error == EACCES || error == EBADF || error == ENOTTY;
    FAULTLINE_REQUIRE(!lost,
                      "the userfaultfd is no longer usable: has the program closed it, or does a seccomp filter "
                      "refuse ioctl?");
}

/// Repeats a range ioctl, whose partial result `step` stores in `done`, until all is done or it fails permanently. A
/// negative `done` is the error. EAGAIN with a partial result is no error. Without one, the kernel is changing the
/// mapping, perhaps in a thread that needs this CPU. ENOMEM and EBUSY are returned to the caller, which can make room.
template <typename Step>
int until_done(const char* call, std::size_t bytes, Step step) noexcept {
    std::size_t total = 0;
    TransientWait wait{call, OutOfMemory::report};
    while (total < bytes) {
        std::int64_t done = 0;
        const int error = step(total, bytes - total, &done);
        if (done > 0) {
            total += static_cast<std::size_t>(done);
            wait = TransientWait{call, OutOfMemory::report};
        }
        if (error == 0 || (error == EAGAIN && done > 0)) continue;
        require_reachable(error);
        if (!wait.again(error)) return error;
    }
    return 0;
}

}  // namespace

Userfaultfd::Userfaultfd(Notify notify, InChildren in_children) : notify_{notify} {
    const bool user_mode_only = notify == Notify::by_sigbus;
    const std::uint64_t offered = available_features(user_mode_only);
    std::uint64_t wanted = UFFD_FEATURE_PAGEFAULT_FLAG_WP | abi::kFeatureExactAddress |
                           (offered & (abi::kFeaturePoison | abi::kFeatureMove | UFFD_FEATURE_THREAD_ID |
                                       abi::kFeatureMinorShmem | abi::kFeatureProtectShmem));
    if (user_mode_only) wanted |= UFFD_FEATURE_SIGBUS;
    fd_ = open_userfaultfd(user_mode_only);
    negotiate(fd_.get(), wanted);
    features_ = wanted;
    if (!user_mode_only && in_children == InChildren::opened_again) device_ = open_device();
}

void Userfaultfd::open_again_in_child() {
    fd_.reset();
    fd_ = open_userfaultfd(notify_ == Notify::by_sigbus, device_);
    negotiate(fd_.get(), features_);
}

std::uint64_t Userfaultfd::offered_features() { return available_features(true); }

void Userfaultfd::watch(void* address, std::size_t bytes, bool write_protect) {
    watch_for(address, bytes, UFFDIO_REGISTER_MODE_MISSING | (write_protect ? UFFDIO_REGISTER_MODE_WP : 0));
}

void Userfaultfd::watch_file(void* address, std::size_t bytes) {
    watch_for(address, bytes, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR | UFFDIO_REGISTER_MODE_WP);
}

void Userfaultfd::watch_for(void* address, std::size_t bytes, std::uint64_t mode) {
    uffdio_register request{};
    request.range = {syscall_argument(address), bytes};
    request.mode = mode;
    if (const int error = control(UFFDIO_REGISTER, &request)) {
        throw_error(error, "cannot register " + readable_bytes(bytes) + " with userfaultfd");
    }
}

namespace {

/// Falls back to single units after ENOENT. The kernel works on one mapping at a time, and a change of protection
/// splits a mapping. A single unit is never in two mappings.
bool try_smaller_steps(int error, std::size_t& at_once, std::size_t length) FAULTLINE_SIGNAL_SAFE {
    if (error != ENOENT || length <= core::kUnitBytes) return false;
    at_once = core::kUnitBytes;
    return true;
}

}  // namespace

int Userfaultfd::control(unsigned long request, void* argument) const FAULTLINE_SIGNAL_SAFE {
    const int error = error_of(raw_syscall(SYS_ioctl, fd(), request, syscall_argument(argument)));
    // These calls never fail like this by themselves: a filter answers, or the descriptor is closed.
    if (error != ENOSYS && error != EPERM && error != EACCES && error != EBADF) [[likely]]
        return error;
    return stand_in_ != nullptr ? error_of(stand_in_->ioctl(request, argument, error)) : error;
}

int Userfaultfd::map_file_pages(void* address, std::size_t bytes, bool write_protected,
                                std::size_t* mapped) const FAULTLINE_SIGNAL_SAFE {
    *mapped = 0;
    std::size_t at_once = bytes;
    return until_done("UFFDIO_CONTINUE", bytes, [&](std::size_t offset, std::size_t left, std::int64_t* done) {
        const std::size_t length = std::min(left, at_once);
        uffdio_continue request{};
        request.range = {syscall_argument(static_cast<std::byte*>(address) + offset), length};
        request.mode = write_protected ? abi::kContinueProtected : 0;
        const int error = control(UFFDIO_CONTINUE, &request);
        *done = request.mapped;
        if (request.mapped > 0) *mapped += static_cast<std::size_t>(request.mapped);
        return try_smaller_steps(error, at_once, length) ? EAGAIN : error;
    });
}

int Userfaultfd::copy(void* destination, const void* source, std::size_t bytes, bool write_protected,
                      Wake wake) const FAULTLINE_SIGNAL_SAFE {
    const std::uint64_t mode = (write_protected ? UFFDIO_COPY_MODE_WP : std::uint64_t{0}) |
                               (wake == Wake::later ? UFFDIO_COPY_MODE_DONTWAKE : std::uint64_t{0});
    std::size_t at_once = bytes;
    return until_done("UFFDIO_COPY", bytes, [&](std::size_t offset, std::size_t left, std::int64_t* done) {
        const std::size_t length = std::min(left, at_once);
        uffdio_copy request{};
        request.dst = syscall_argument(static_cast<std::byte*>(destination) + offset);
        request.src = syscall_argument(static_cast<const std::byte*>(source) + offset);
        request.len = length;
        request.mode = mode;
        const int error = control(UFFDIO_COPY, &request);
        *done = request.copy;
        return try_smaller_steps(error, at_once, length) ? EAGAIN : error;
    });
}

// UFFDIO_MOVE of Linux 6.18 can move pages and report an error for them. Inside the kernel, a page that another CPU
// touches, or whose folio is locked, gives EAGAIN. The kernel tries again and moves the page with its neighbours, but
// keeps the EAGAIN and does not count them. Its next round finds the destination occupied by the pages that it has just
// moved: EEXIST. The destination was empty before. So EEXIST for a page that is no longer at the source means that the
// page has moved.
int Userfaultfd::move(void* destination, void* source, std::size_t bytes,
                      std::size_t* moved) const FAULTLINE_SIGNAL_SAFE {
    *moved = 0;
    return until_done("UFFDIO_MOVE", bytes, [&](std::size_t offset, std::size_t length, std::int64_t* done) {
        auto* const from = static_cast<std::byte*>(source) + offset;
        abi::UffdioMove request{};
        request.destination = syscall_argument(static_cast<std::byte*>(destination) + offset);
        request.source = syscall_argument(from);
        request.length = length;
        int error = control(abi::kUffdioMove, &request);
        *done = request.moved;
        if (error == EEXIST && all_absent(from, core::kUnitBytes)) {
            *done = core::kUnitBytes;
            error = EAGAIN;
        }
        if (*done > 0) *moved += static_cast<std::size_t>(*done);
        return error;
    });
}

int Userfaultfd::write_protect(void* address, std::size_t bytes, bool on) const FAULTLINE_SIGNAL_SAFE {
    const auto call = [&] {
        uffdio_writeprotect request{};
        request.range = {syscall_argument(address), bytes};
        request.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0;
        const int error = control(UFFDIO_WRITEPROTECT, &request);
        require_reachable(error);
        return error;
    };
    return wait_out("UFFDIO_WRITEPROTECT", call, OutOfMemory::report);
}

int Userfaultfd::poison(void* address, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
    if (!has(abi::kFeaturePoison)) return EINVAL;
    return until_done("UFFDIO_POISON", bytes, [&](std::size_t offset, std::size_t length, std::int64_t* done) {
        abi::UffdioPoison request{};
        request.range = {syscall_argument(static_cast<std::byte*>(address) + offset), length};
        const int error = control(abi::kUffdioPoison, &request);
        *done = request.updated;
        return error;
    });
}

void Userfaultfd::wake(void* address, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
    uffdio_range range{syscall_argument(address), bytes};
    static_cast<void>(control(UFFDIO_WAKE, &range));  // fails only for an invalid range
}

int Userfaultfd::read(uffd_msg* message) const FAULTLINE_SIGNAL_SAFE {
    const long result = raw_syscall(SYS_read, fd(), syscall_argument(message), sizeof *message);
    if (const int error = error_of(result)) return error;
    return result == static_cast<long>(sizeof *message) ? 0 : EIO;
}

}  // namespace faultline::sys
