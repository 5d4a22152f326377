#include "space/source_file.hpp"

#include "core/units.hpp"
#include "core/zero_unit.hpp"
#include "sys/error.hpp"
#include "sys/file_write.hpp"
#include "sys/full_transfer.hpp"
#include "sys/syscall.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace faultline::space {
namespace {

/// Limits `bytes` at `offset` to the file's present size. Returns 0 or an errno.
int limit_to_file_size(int fd, std::uint64_t offset, std::uint64_t& bytes) FAULTLINE_SIGNAL_SAFE {
    struct stat found {};
    const long result = sys::raw_syscall(SYS_fstat, fd, sys::syscall_argument(&found));
    if (result != 0) return sys::error_of(result);
    const auto size = static_cast<std::uint64_t>(found.st_size);
    bytes = offset < size ? std::min(bytes, size - offset) : 0;
    return 0;
}

/// Returns the kernel's path for a descriptor; empty if it has none.
std::string path_of(int fd) {
    std::error_code error;
    const auto path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error);
    return error ? std::string{} : path.string();
}

}  // namespace

std::shared_ptr<const SourceFile> SourceFile::open(const std::filesystem::path& path) {
    sys::FileDescriptor fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!fd) sys::throw_error(errno, "cannot open " + path.string() + " to map it");
    std::string known_as = path_of(fd.get());
    return std::make_shared<const SourceFile>(std::move(fd), std::move(known_as));
}

std::shared_ptr<const SourceFile> SourceFile::of(int descriptor) {
    const int flags = ::fcntl(descriptor, F_GETFL);
    if (flags < 0)
        sys::throw_error(errno, "cannot map a file: descriptor " + std::to_string(descriptor) + " is not open");
    if ((flags & O_ACCMODE) == O_WRONLY || (flags & O_PATH) != 0) {
        sys::throw_error(EACCES, "cannot map " + path_of(descriptor) + ": it is not open for reading");
    }
    sys::FileDescriptor fd{::fcntl(descriptor, F_DUPFD_CLOEXEC, 0)};
    if (!fd) sys::throw_error(errno, "cannot map " + path_of(descriptor) + ": no descriptor is left, see `ulimit -n`");
    std::string known_as = path_of(fd.get());
    return std::make_shared<const SourceFile>(std::move(fd), std::move(known_as));
}

SourceFile::SourceFile(sys::FileDescriptor fd, std::string path) : fd_{std::move(fd)}, path_{std::move(path)} {
    struct stat found {};
    if (::fstat(fd_.get(), &found) != 0) sys::throw_error(errno, "cannot map " + path_);
    if (!S_ISREG(found.st_mode)) sys::throw_error(ENODEV, "cannot map " + path_ + ": it is not a regular file");
    const int flags = ::fcntl(fd_.get(), F_GETFL);
    // With O_APPEND a write at an offset goes to the end of the file instead.
    writable_ = flags >= 0 && (flags & O_ACCMODE) == O_RDWR && (flags & O_APPEND) == 0;
    device_ = found.st_dev;
    inode_ = found.st_ino;
}

int SourceFile::read(std::uint64_t offset, std::uint64_t limit, std::span<std::byte> into) const FAULTLINE_SIGNAL_SAFE {
    const std::size_t wanted = limit <= offset ? 0 : std::min<std::uint64_t>(into.size(), limit - offset);
    const auto [got, error] =
        sys::transfer_to_end("pread of a mapped file", wanted, [&](std::size_t done, std::size_t left) {
            return sys::raw_syscall(SYS_pread64, fd_.get(), sys::syscall_argument(into.data() + done), left,
                                    offset + done);
        });
    if (error != 0) return error;
    // The page in which the file ends is readable; a page wholly beyond the end is not.
    if (got < wanted && core::align_up(got, core::kUnitBytes) < wanted) return EIO;
    std::memset(into.data() + got, 0, into.size() - got);
    return 0;
}

int SourceFile::write(std::uint64_t offset, std::span<const std::byte> from) const FAULTLINE_SIGNAL_SAFE {
    std::uint64_t bytes = from.size();
    if (const int error = limit_to_file_size(fd_.get(), offset, bytes)) return error;
    return sys::transfer_all("pwrite of a mapped file", bytes, [&](std::size_t done, std::size_t left) {
        return sys::write_file_at(fd_.get(), from.data() + done, left, offset + done);
    });
}

int SourceFile::write_zeros(std::uint64_t offset, std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE {
    for (; bytes > 0; offset += sizeof core::kZeroUnit, bytes -= sizeof core::kZeroUnit) {
        if (const int error = write(offset, core::kZeroUnit)) return error;
    }
    return 0;
}

int SourceFile::synchronize() const noexcept {
    return sys::wait_out("fdatasync of a mapped file",
                         [&] { return sys::error_of(sys::raw_syscall(SYS_fdatasync, fd_.get())); });
}

}  // namespace faultline::space
