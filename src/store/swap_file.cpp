#include "store/swap_file.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "store/read_plan.hpp"
#include "store/write_queue.hpp"
#include "sys/error.hpp"
#include "sys/file_write.hpp"
#include "sys/full_transfer.hpp"
#include "sys/mapping.hpp"
#include "sys/syscall.hpp"
#include "sys/transient.hpp"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

namespace faultline::store {

long unless_closed(long result) FAULTLINE_SIGNAL_SAFE {
    FAULTLINE_REQUIRE(result != -EBADF, "the swap file is closed: the program has closed faultline's descriptor");
    return result;
}

SwapFile SwapFile::unnamed_in(const SwapDirectory& directory) {
    SwapFile file{directory.open_unnamed(), directory.path()};
    file.try_direct();
    return file;
}

SwapFile SwapFile::unnamed_in(const SwapDirectory& directory, bool direct) {
    SwapFile file{directory.open_unnamed(), directory.path()};
    file.set_direct(direct);
    return file;
}

SwapFile SwapFile::named(const std::filesystem::path& path) {
    sys::FileDescriptor fd{::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, kOwnerOnly)};
    if (!fd) {
        const int error = errno;
        sys::throw_error(error, "cannot create the swap file " + path.string() +
                                    (error == EEXIST ? ": it exists and may be in use; remove it or name another"
                                                     : ": set Config::swap_file to a path this user may create"));
    }
    if (::unlink(path.c_str()) != 0) sys::throw_error(errno, "cannot unlink the swap file " + path.string());
    SwapFile file{std::move(fd), path};
    file.try_direct();
    return file;
}

SwapFile::SwapFile(sys::FileDescriptor fd, std::filesystem::path place) noexcept
    : fd_{std::move(fd)}, place_{std::move(place)} {}

/// Bypasses the page cache from now on, or not. `direct()` is false if the kernel refuses.
void SwapFile::set_direct(bool wanted) noexcept {
    const int flags = ::fcntl(fd(), F_GETFL);
    const bool set = flags >= 0 && ::fcntl(fd(), F_SETFL, wanted ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
    direct_ = set && wanted;
}

/// Tries direct I/O with a real transfer: some file systems accept the flag and refuse the transfer, or the other way
/// round. Returns the block's space afterwards.
void SwapFile::try_direct() {
    extend_to(core::kUnitBytes);  // checks the file size limit; a write beyond it would kill the process
    const sys::Mapping block = sys::Mapping::reserve(core::kUnitBytes, core::kUnitBytes, true, "a trial block");
    std::memset(block.data(), 0x5a, block.size());
    const auto write_block = [&] {
        iovec part{block.data(), block.size()};
        return write(0, {&part, 1});
    };
    set_direct(true);
    int error = write_block();
    if (direct_ && error == EINVAL) {
        set_direct(false);
        error = write_block();
    }
    if (error == 0) error = read(0, block.bytes());
    if (error != 0) {
        sys::throw_error(error, "cannot write one block to a swap file in " + place_.string() +
                                    ": free some space there, or set Config::swap_directory");
    }
    punch(0, block.size());
}

std::uint64_t SwapFile::most_bytes() const noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return ~std::uint64_t{0};
    return limit.rlim_cur;
}

void SwapFile::extend_to(std::uint64_t bytes) {
    if (bytes <= length_) return;
    // Checked first, because exceeding the limit raises SIGXFSZ in addition to the error.
    if (bytes > most_bytes()) {
        sys::throw_error(EFBIG, "the file size limit is below the " + sys::readable_bytes(bytes) +
                                    " of swap space needed: set `ulimit -f unlimited`");
    }
    if (bytes > static_cast<std::uint64_t>(INT64_MAX) || ::ftruncate(fd(), static_cast<off_t>(bytes)) != 0) {
        const int error = bytes > static_cast<std::uint64_t>(INT64_MAX) ? EFBIG : errno;
        sys::throw_error(error, "the file system of " + place_.string() + " cannot hold a sparse file of " +
                                    sys::readable_bytes(bytes) + "; reserve less, or set Config::swap_directory");
    }
    length_ = bytes;
}

int SwapFile::read(std::uint64_t offset, std::span<std::byte> into) const FAULTLINE_SIGNAL_SAFE {
    return sys::transfer_all("pread of a swap file", into.size(), [&](std::size_t done, std::size_t left) {
        return unless_closed(
            sys::raw_syscall(SYS_pread64, fd(), sys::syscall_argument(into.data() + done), left, offset + done));
    });
}

int SwapFile::write(std::uint64_t offset, std::span<const iovec> parts) const FAULTLINE_SIGNAL_SAFE {
    std::size_t bytes = 0;
    for (const iovec& part : parts) bytes += part.iov_len;
    std::size_t part_begin = 0;  // where the first of `parts` begins, in bytes
    return sys::transfer_all("pwritev of a swap file", bytes, [&](std::size_t done, std::size_t) {
        while (done >= part_begin + parts.front().iov_len) {
            part_begin += parts.front().iov_len;
            parts = parts.subspan(1);
        }
        return unless_closed(write_from(offset + done, parts, done - part_begin));
    });
}

int SwapFile::read_all(std::span<const FileRead> reads) const FAULTLINE_SIGNAL_SAFE {
    for (const FileRead& one : reads) {
        if (const int error = read(one.offset, one.into)) return error;
    }
    return 0;
}

void SwapFile::write_all(std::span<FileWrite> writes) const FAULTLINE_SIGNAL_SAFE {
    for (FileWrite& one : writes) one.error = write(one.offset, one.parts);
}

/// Writes `parts` without their first `skipped` bytes, which are in the first part. Returns what the kernel returns. A
/// seccomp filter may forbid pwritev(2): then writes one part.
long SwapFile::write_from(std::uint64_t offset, std::span<const iovec> parts,
                          std::size_t skipped) const FAULTLINE_SIGNAL_SAFE {
    if (skipped == 0 && parts.size() > 1) {
        const long result = sys::write_file_at(fd(), parts, offset);
        if (result != -EPERM && result != -ENOSYS && result != -EACCES) return result;
    }
    const iovec& part = parts.front();
    return sys::write_file_at(fd(), static_cast<std::byte*>(part.iov_base) + skipped, part.iov_len - skipped, offset);
}

void SwapFile::allocate(std::uint64_t offset, std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE {
    static_cast<void>(sys::raw_syscall(SYS_fallocate, fd(), FALLOC_FL_KEEP_SIZE, offset, bytes));
}

void SwapFile::punch(std::uint64_t offset, std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE {
    // Ignores failure: space that a file system cannot return early is returned with the file.
    static_cast<void>(sys::wait_out("fallocate of a swap file", [&] {
        return sys::error_of(
            sys::raw_syscall(SYS_fallocate, fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes));
    }));
}

namespace {

/// Returns `blocks(space)` in bytes, or the largest number.
template <typename Blocks>
std::uint64_t space_of(int fd, Blocks blocks) noexcept {
    struct statvfs space {};
    if (::fstatvfs(fd, &space) != 0) return ~std::uint64_t{0};
    return std::uint64_t{blocks(space)} * space.f_frsize;
}

}  // namespace

std::uint64_t SwapFile::free_space() const noexcept {
    return space_of(fd(), [](const struct statvfs& space) { return space.f_bavail; });
}

std::uint64_t SwapFile::medium_bytes() const noexcept {
    return space_of(fd(), [](const struct statvfs& space) { return space.f_blocks; });
}

}  // namespace faultline::store
