#include "sys/memory_file.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "sys/error.hpp"
#include "sys/file_write.hpp"
#include "sys/full_transfer.hpp"
#include "sys/mapping.hpp"
#include "sys/own_place.hpp"
#include "sys/syscall.hpp"
#include "sys/transient.hpp"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace faultline::sys {
namespace {

/// Replaces memfd_create(2) where a seccomp filter forbids it but allows files. The file is in memory, too. It has a
/// unique name for a moment.
FileDescriptor file_in_shared_memory() {
    char name[] = "/dev/shm/faultline-XXXXXX";
    FileDescriptor file{::mkostemp(name, O_CLOEXEC)};
    if (file) ::unlink(name);
    return file;
}

FileDescriptor memory_file(const char* name) {
    constexpr unsigned kNoExec = 8;  // MFD_NOEXEC_SEAL, Linux 6.3; required if `sysctl vm.memfd_noexec` is 2
    FileDescriptor file{::memfd_create(name, MFD_CLOEXEC | kNoExec)};
    if (!file && errno == EINVAL) file = FileDescriptor{::memfd_create(name, MFD_CLOEXEC)};
    const bool forbidden = !file && (errno == ENOSYS || errno == EPERM || errno == EACCES);
    if (forbidden) file = file_in_shared_memory();
    if (!file) {
        throw_error(errno, forbidden
                               ? "a seccomp filter forbids memfd_create(2), and no file can be created in /dev/shm"
                               : "cannot create a memory file (memfd_create): raise `ulimit -n`");
    }
    return file;
}

/// Writes through a mapping, to which the file size limit does not apply. The limit may be set after the file was made.
int write_by_mapping(int fd, const void* from, std::size_t bytes, std::uint64_t offset) FAULTLINE_SIGNAL_SAFE {
    const std::size_t inside = offset % core::kUnitBytes;
    std::byte* const place =
        OwnPlace::take(core::align_up(inside + bytes, core::kUnitBytes), core::kUnitBytes, OwnPlace::InChild::kept);
    const long begin = raw_syscall(SYS_mmap, syscall_argument(place), inside + bytes, PROT_WRITE,
                                   MAP_SHARED | (place != nullptr ? MAP_FIXED : 0), fd, offset - inside);
    if (const int error = error_of(begin)) {
        OwnPlace::give_back(place, inside + bytes);
        return error;
    }
    std::memcpy(reinterpret_cast<std::byte*>(begin) + inside, from, bytes);  // NOLINT: an address is a number here
    if (OwnPlace::give_back(place, inside + bytes)) return 0;
    return error_of(raw_syscall(SYS_munmap, begin, inside + bytes));
}

/// Sets the other properties of a new mapping that no thread can access yet.
int prepare(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    raw_syscall(SYS_munlock, syscall_argument(address), bytes);
    for (const int advice : {MADV_DONTFORK, MADV_DONTDUMP, MADV_NOHUGEPAGE}) {
        const int error = advise(address, bytes, advice);
        if (error != 0 && advice != MADV_NOHUGEPAGE) return error;  // some kernels have no huge pages to forbid
    }
    return 0;
}

}  // namespace

MemoryFile MemoryFile::empty(const char* name) { return MemoryFile{memory_file(name)}; }

MemoryFile MemoryFile::of_addresses(const char* name) {
    rlimit limit{};
    // Checked first, because exceeding the limit raises SIGXFSZ in addition to the error.
    if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        throw_error(EFBIG,
                    "Delivery::sigsegv needs a memory file as long as the address space, which the file "
                    "size limit forbids: set `ulimit -f unlimited`");
    }
    FileDescriptor file = memory_file(name);
    if (::ftruncate(file.get(), static_cast<off_t>(core::kUserAddressEnd)) != 0) {
        throw_error(errno, "cannot make a memory file as long as the address space");
    }
    return MemoryFile{std::move(file)};
}

int MemoryFile::write(const void* from, std::size_t bytes, std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    const auto* const first = static_cast<const std::byte*>(from);
    const auto transfer = [&](std::size_t done, std::size_t left) {
        return write_file_at(fd_.get(), first + done, left, offset + done);
    };
    const int error = transfer_all("pwrite of the memory file", bytes, transfer, OutOfMemory::report);
    return error == EFBIG ? write_by_mapping(fd_.get(), from, bytes, offset) : error;
}

int MemoryFile::read(void* into, std::size_t bytes, std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
    auto* const first = static_cast<std::byte*>(into);
    return transfer_all("pread of the memory file", bytes, [&](std::size_t done, std::size_t left) {
        return raw_syscall(SYS_pread64, fd_.get(), syscall_argument(first + done), left, offset + done);
    });
}

void MemoryFile::free(std::uint64_t offset, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
    const int error = wait_out("fallocate of the memory file", [&] {
        return error_of(
            raw_syscall(SYS_fallocate, fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes));
    });
    FAULTLINE_REQUIRE(error == 0, "a page's memory cannot be freed: has the program closed faultline's descriptors?");
}

int MemoryFile::map(void* address, std::size_t bytes, std::uint64_t offset,
                    int protection) const FAULTLINE_SIGNAL_SAFE {
    // Mapped without access at first: the kernel fills a mapping that is locked (MCL_FUTURE) and accessible at once.
    const long result = raw_syscall(SYS_mmap, syscall_argument(address), bytes, PROT_NONE,
                                    MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd_.get(), offset);
    if (const int error = error_of(result)) return error;
    if (const int error = prepare(address, bytes)) return error;
    if (protection == PROT_NONE) return 0;
    return error_of(raw_syscall(SYS_mprotect, syscall_argument(address), bytes, protection));
}

int map_inaccessible(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    const long result = raw_syscall(SYS_mmap, syscall_argument(address), bytes, PROT_NONE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    if (const int error = error_of(result)) return error;
    return prepare(address, bytes);
}

}  // namespace faultline::sys
