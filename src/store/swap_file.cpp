#include "store/swap_file.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "sys/error.hpp"
#include "sys/file_write.hpp"
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
namespace {

// A file system writes into allocated blocks while others read. For a write into a hole it keeps readers out (ext4
// takes the inode's lock exclusively), and a swap file is full of holes. Allocating a whole MiB at once costs about 300
// us. It doubles the rate of random reads beside random writes, and of the writes, too. It is done only where pages are
// written one by one, and only after a sixteenth of the MiB was written: allocated blocks that are never written are
// wasted.
constexpr unsigned kChunkShift = FreedBlocks::kChunkShift;
constexpr std::uint64_t kChunkBytes = FreedBlocks::kChunkBytes;
constexpr std::uint64_t kLargestFile = FreedBlocks::kLargestFile;  // beyond it, each write allocates
constexpr std::uint64_t kSmallWrite = std::uint64_t{64} << 10;
constexpr std::uint16_t kSmallWritesBefore = kChunkBytes / core::kUnitBytes / 16;
// Far below the largest value: concurrent additions do not overflow it.
constexpr std::uint16_t kAllocated = UINT16_MAX / 2;

/// Returns `result`. Ends the process if the program has closed the descriptor: its pages are lost, and more would be.
long unless_closed(long result) FAULTLINE_SIGNAL_SAFE {
    FAULTLINE_REQUIRE(result != -EBADF, "the swap file is closed: the program has closed faultline's descriptor");
    return result;
}

}  // namespace

SwapFile SwapFile::unnamed_in(const SwapDirectory& directory) {
    return SwapFile{directory.open_unnamed(), directory.path()};
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
    return SwapFile{std::move(fd), path};
}

SwapFile::SwapFile(sys::FileDescriptor fd, std::filesystem::path place) : fd_{std::move(fd)}, place_{std::move(place)} {
    try_direct();
    if (direct_) small_writes_ = {kLargestFile >> kChunkShift, "a map of a swap file's blocks"};
}

/// Tries direct I/O with a real transfer: some file systems accept the flag and refuse the transfer, or the other way
/// round. Returns the block's space afterwards.
void SwapFile::try_direct() {
    extend_to(core::kUnitBytes);  // checks the file size limit; a write beyond it would kill the process
    const sys::Mapping block = sys::Mapping::reserve(core::kUnitBytes, core::kUnitBytes, true, "a trial block");
    std::memset(block.data(), 0x5a, block.size());
    const int flags = ::fcntl(fd(), F_GETFL);
    direct_ = flags >= 0 && ::fcntl(fd(), F_SETFL, flags | O_DIRECT) == 0;
    long written = write_at(block.data(), block.size(), 0);
    if (direct_ && written == -EINVAL) {
        direct_ = false;
        ::fcntl(fd(), F_SETFL, flags);
        written = write_at(block.data(), block.size(), 0);
    }
    const auto expected = static_cast<long>(block.size());
    if (written != expected || read_at(block.data(), block.size(), 0) != expected) {
        sys::throw_error(written < 0 ? static_cast<int>(-written) : EIO,
                         "cannot write one block to a swap file in " + place_.string() +
                             ": free some space there, or set Config::swap_directory");
    }
    punch_now(0, block.size());
}

void SwapFile::extend_to(std::uint64_t bytes) {
    if (bytes <= length_) return;
    rlimit limit{};
    // Checked first, because exceeding the limit raises SIGXFSZ in addition to the error.
    if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && bytes > limit.rlim_cur) {
        sys::throw_error(EFBIG, "the file size limit is below the " + sys::readable_bytes(bytes) +
                                    " of swap space needed: set `ulimit -f unlimited`");
    }
    if (bytes > static_cast<std::uint64_t>(INT64_MAX) || ::ftruncate(fd(), static_cast<off_t>(bytes)) != 0) {
        const int error = bytes > static_cast<std::uint64_t>(INT64_MAX) ? EFBIG : errno;
        sys::throw_error(error, "the file system of " + place_.string() + " cannot hold a sparse file of " +
                                    sys::readable_bytes(bytes) + "; reserve less, or set Config::swap_directory");
    }
    freed_->grow_to(bytes);
    std::atomic_ref{length_}.store(bytes, std::memory_order_relaxed);  // other threads may be writing
}

long SwapFile::read_at(void* into, std::size_t bytes, std::uint64_t offset) FAULTLINE_SIGNAL_SAFE {
    return unless_closed(sys::raw_syscall(SYS_pread64, fd(), sys::syscall_argument(into), bytes, offset));
}

long SwapFile::write_at(const void* from, std::size_t bytes, std::uint64_t offset) FAULTLINE_SIGNAL_SAFE {
    long result = 0;
    do {
        result = unless_closed(sys::write_file_at(fd(), from, bytes, offset));
    } while ((result == -ENOSPC || result == -EDQUOT) && punch_any());
    return result;
}

void SwapFile::prepare_write(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    freed_->mark_in_use(offset, bytes);
    const std::uint64_t chunk = offset >> kChunkShift;
    if (bytes >= kSmallWrite || chunk >= small_writes_.size()) return;
    std::atomic<std::uint16_t>& written = small_writes_[chunk];
    if (written.load(std::memory_order_relaxed) >= kAllocated) return;
    const auto units = static_cast<std::uint16_t>(bytes >> core::kUnitShift);
    const std::uint16_t before = written.fetch_add(units, std::memory_order_relaxed);
    if (before >= kSmallWritesBefore || before + units < kSmallWritesBefore) return;  // one thread allocates
    written.store(allocate(chunk) ? kAllocated : 0, std::memory_order_relaxed);
}

/// Allocates the blocks of a chunk. Returns false if interrupted. Ignores a refusal (not supported, no space): the
/// writes then get the error.
bool SwapFile::allocate(std::uint64_t chunk) FAULTLINE_SIGNAL_SAFE {
    const std::uint64_t begin = chunk << kChunkShift;
    const std::uint64_t end = std::min(begin + kChunkBytes, std::atomic_ref{length_}.load(std::memory_order_relaxed));
    return sys::raw_syscall(SYS_fallocate, fd(), FALLOC_FL_KEEP_SIZE, begin, end - begin) != -EINTR;
}

// ---- Returning blocks

void SwapFile::punch(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    freed_->free(offset, bytes);
    const std::uint64_t end = offset + bytes;
    if (end <= kLargestFile) return;
    const std::uint64_t begin = std::max(offset, kLargestFile);
    give_blocks_back(begin, end - begin);
}

void SwapFile::punch_now(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    freed_->untrack(offset, bytes);
    give_blocks_back(offset, bytes);
}

bool SwapFile::worth_punching() const FAULTLINE_SIGNAL_SAFE {
    return freed_->any_due() || freed_->freed_bytes() > freed_->bound.load(std::memory_order_relaxed);
}

bool SwapFile::punch_some() FAULTLINE_SIGNAL_SAFE {
    if (!worth_punching()) return false;
    const std::uint64_t bound = waste_bound();
    freed_->bound.store(bound, std::memory_order_relaxed);
    const std::uint64_t freed = freed_->freed_bytes();
    if (!freed_->any_due() && freed > bound) freed_->mark_fullest_due(freed - bound / 2);
    return punch_piece(bound / 2);
}

bool SwapFile::punch_any() FAULTLINE_SIGNAL_SAFE {
    if (!freed_->any_due()) freed_->mark_fullest_due(FreedBlocks::kLargestPiece);
    return punch_piece(0);
}

bool SwapFile::punch_piece(std::uint64_t keep_bytes) FAULTLINE_SIGNAL_SAFE {
    return freed_->punch_one(keep_bytes,
                             [this](std::uint64_t offset, std::uint64_t bytes) { give_blocks_back(offset, bytes); });
}

std::uint64_t SwapFile::waste_bound() const FAULTLINE_SIGNAL_SAFE {
    struct stat about {};
    if (sys::raw_syscall(SYS_fstat, fd(), sys::syscall_argument(&about)) != 0) return kWasteBytes;
    return std::max(kWasteBytes, static_cast<std::uint64_t>(about.st_blocks) * 512 / kWastePart);
}

void SwapFile::give_blocks_back(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
    // Ignores failure: space that a file system cannot return early is returned with the file.
    static_cast<void>(sys::wait_out("fallocate of a swap file", [&] {
        return sys::error_of(
            sys::raw_syscall(SYS_fallocate, fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes));
    }));
    // Do not allocate the rest of a MiB twice: the next discard would return nothing.
    const std::uint64_t end = std::min((offset + bytes) >> kChunkShift, small_writes_.size());
    std::uint64_t chunk = freed_->next_written((offset + kChunkBytes - 1) >> kChunkShift, end);
    for (; chunk < end; chunk = freed_->next_written(chunk + 1, end)) {
        if (small_writes_[chunk].load(std::memory_order_relaxed) != 0) small_writes_[chunk].store(0);
    }
}

std::uint64_t SwapFile::free_space() const noexcept {
    struct statvfs space {};
    if (::fstatvfs(fd_.get(), &space) != 0) return ~std::uint64_t{0};
    return std::uint64_t{space.f_bavail} * space.f_frsize;
}

}  // namespace faultline::store
