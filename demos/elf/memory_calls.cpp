#include "elf/memory_calls.hpp"

#include "elf/user_addresses.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <vector>

namespace faultline::demo::elf {
namespace {

constexpr std::uint64_t kKindOfMapping = MAP_SHARED | MAP_PRIVATE;  // MAP_SHARED_VALIDATE is both bits

void* pointer_to(std::uint64_t address) noexcept {
    return reinterpret_cast<void*>(address);  // NOLINT: the program names memory by numbers
}

std::uint64_t page_begin(std::uint64_t address) noexcept { return address / kPage * kPage; }
std::uint64_t whole_pages(std::uint64_t bytes) noexcept { return page_begin(bytes + kPage - 1); }

/// Calls `call` and returns its result; converts an exception to a negated errno.
template <typename Call>
long result_of(Call call) {
    try {
        return call();
    } catch (const std::system_error& error) {
        return -error.code().value();
    }
}

/// Converts mmap protection bits. Returns nothing for writable and executable memory. As on x86, memory that can be
/// written or executed can be read.
std::optional<Access> access_of(std::uint64_t protection) noexcept {
    const bool write = (protection & PROT_WRITE) != 0;
    const bool execute = (protection & PROT_EXEC) != 0;
    if (write && execute) return std::nullopt;
    if (write) return Access::read_write;
    if (execute) return Access::read_execute;
    return (protection & PROT_READ) != 0 ? Access::read : Access::none;
}

}  // namespace

bool MemoryCalls::serves(long number) noexcept {
    switch (number) {
        case SYS_brk:
        case SYS_mmap:
        case SYS_munmap:
        case SYS_mprotect:
        case SYS_madvise:
        case SYS_msync:
            return true;
        default:
            return false;
    }
}

long MemoryCalls::serve(long number, const Arguments& arguments) {
    return result_of([&] {
        switch (number) {
            case SYS_brk:
                return brk(arguments[0]);
            case SYS_mmap:
                return map(arguments);
            case SYS_munmap:
                return unmap(arguments[0], arguments[1]);
            case SYS_mprotect:
                return protect(arguments[0], arguments[1], arguments[2]);
            case SYS_madvise:
                return advise(arguments[0], arguments[1], arguments[2]);
            case SYS_msync:
                return sync(arguments[0], arguments[1], arguments[2]);
            default:
                return -long{ENOSYS};
        }
    });
}

long MemoryCalls::brk(std::uint64_t address) {
    return reinterpret_cast<long>(space_.brk(pointer_to(address)));  // NOLINT: a result is a number
}

/// Checks in the same order as the kernel.
long MemoryCalls::map(const Arguments& arguments) {
    const auto [address, bytes, protection, flags, descriptor, offset] = arguments;
    const bool anonymous = (flags & MAP_ANONYMOUS) != 0;
    const std::uint64_t kind = flags & kKindOfMapping;
    if (offset % kPage != 0) return -EINVAL;
    if (!anonymous && ::fcntl(static_cast<int>(descriptor), F_GETFD) < 0) return -EBADF;
    if (bytes == 0) return -EINVAL;
    if (whole_pages(bytes) < bytes || whole_pages(bytes) > kUserEnd) return -ENOMEM;
    if (!anonymous && offset + whole_pages(bytes) < offset) return -EOVERFLOW;
    const bool fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) != 0;
    if (fixed && address % kPage != 0) return -EINVAL;
    if ((flags & MAP_FIXED_NOREPLACE) != 0 && !runs_in(address, address + whole_pages(bytes)).empty()) return -EEXIST;
    if (kind == 0) return -EINVAL;
    if ((flags & (MAP_HUGETLB | MAP_32BIT | MAP_GROWSDOWN)) != 0) return -ENOMEM;
    const std::optional<Access> access = access_of(protection);
    if (!access) return -EACCES;
    MapOptions options{.access = *access};
    // Anonymous shared memory would be shared with this process only, so it can be private.
    options.shared = !anonymous && kind != MAP_PRIVATE;
    if (fixed) {
        options.address = pointer_to(address);
        options.replace = (flags & MAP_FIXED_NOREPLACE) == 0;
        const long result = map_at(arguments, options);
        return result == -EINVAL ? -ENOMEM : result;  // not in the space, or in heap or stack, which cannot be replaced
    }
    // Without MAP_FIXED the address is only a hint.
    if (address != 0) {
        options.address = pointer_to(page_begin(address));
        const long result = result_of([&] { return map_at(arguments, options); });
        if (result != -EEXIST && result != -EINVAL) return result;
        options.address = nullptr;
    }
    return map_at(arguments, options);
}

long MemoryCalls::map_at(const Arguments& arguments, MapOptions options) {
    const auto [address, bytes, protection, flags, descriptor, offset] = arguments;
    return result_of([&, size = bytes, fd = static_cast<int>(descriptor), from = offset, kinds = flags] {
        std::byte* const at = (kinds & MAP_ANONYMOUS) != 0 ? space_.map_anonymous(size, options)
                                                           : space_.map_file(fd, from, size, options);
        return reinterpret_cast<long>(at);  // NOLINT: a result is a number
    });
}

/// Gaps are no error for munmap, so each segment's part of the range is unmapped separately.
long MemoryCalls::unmap(std::uint64_t address, std::uint64_t bytes) {
    if (address % kPage != 0 || bytes == 0 || bytes > kUserEnd || address > kUserEnd - bytes) return -EINVAL;
    const std::uint64_t end = address + whole_pages(bytes);
    for (const SegmentInfo& segment : space_.segments()) {
        if (segment.end <= address || segment.begin >= end) continue;
        if (segment.kind == SegmentKind::heap || segment.kind == SegmentKind::stack) return -EINVAL;
    }
    for (const SegmentInfo& segment : space_.segments()) {
        if (segment.end <= address || segment.begin >= end) continue;
        const std::uint64_t from = std::max<std::uint64_t>(segment.begin, address);
        space_.unmap(pointer_to(from), std::min<std::uint64_t>(segment.end, end) - from);
    }
    return 0;
}

/// Stack pages below the lowest touched one belong to no segment yet, but the program may use them.
std::vector<MemoryCalls::Run> MemoryCalls::runs_in(std::uint64_t begin, std::uint64_t end) const {
    const auto stack_begin = reinterpret_cast<std::uintptr_t>(space_.stack_begin());
    std::vector<Run> runs;
    for (const SegmentInfo& segment : space_.segments()) {
        const std::uint64_t from = segment.kind == SegmentKind::stack ? stack_begin : segment.begin;
        const Run run{std::max<std::uint64_t>(from, begin), std::min<std::uint64_t>(segment.end, end)};
        if (run.begin < run.end) runs.push_back(run);
    }
    return runs;
}

long MemoryCalls::protect(std::uint64_t address, std::uint64_t bytes, std::uint64_t protection) {
    if (address % kPage != 0) return -EINVAL;
    if (bytes == 0) return 0;
    const std::uint64_t end = address + whole_pages(bytes);
    if (end <= address) return -ENOMEM;
    if ((protection & ~std::uint64_t{PROT_READ | PROT_WRITE | PROT_EXEC}) != 0) return -EINVAL;
    const std::optional<Access> access = access_of(protection);
    if (!access) return -EACCES;
    std::uint64_t done = address;  // end of the mapped part, up to the first gap
    for (const Run& run : runs_in(address, end)) {
        if (run.begin != done) break;
        space_.protect(pointer_to(run.begin), run.end - run.begin, *access);
        done = run.end;
    }
    return done == end ? 0 : -ENOMEM;
}

long MemoryCalls::advise(std::uint64_t address, std::uint64_t bytes, std::uint64_t advice) {
    bool forget = false;
    std::optional<Advice> told;
    switch (advice) {
        case MADV_DONTNEED:
        case MADV_FREE:  // after MADV_FREE the pages may read as zeros at any time
            forget = true;
            break;
        case MADV_NORMAL:
            told = Advice::normal;
            break;
        case MADV_RANDOM:
            told = Advice::random;
            break;
        case MADV_SEQUENTIAL:
            told = Advice::sequential;
            break;
        case MADV_WILLNEED:
            told = Advice::willneed;
            break;
        case MADV_COLD:
            told = Advice::cold;
            break;
        case MADV_PAGEOUT:
            told = Advice::dontneed;
            break;
        case MADV_HUGEPAGE:
        case MADV_NOHUGEPAGE:
        case MADV_DONTFORK:
        case MADV_DOFORK:
        case MADV_DONTDUMP:
        case MADV_DODUMP:
        case MADV_MERGEABLE:
        case MADV_UNMERGEABLE:
            break;
        default:
            return -EINVAL;
    }
    if (address % kPage != 0 || whole_pages(bytes) < bytes) return -EINVAL;
    const std::uint64_t end = address + whole_pages(bytes);
    if (end < address) return -EINVAL;
    if (end == address) return 0;
    std::uint64_t mapped = 0;  // mapped bytes; gaps are skipped
    for (const Run& run : runs_in(address, end)) {
        const std::uint64_t size = run.end - run.begin;
        if (forget) space_.discard(pointer_to(run.begin), size);
        if (told) space_.advise(pointer_to(run.begin), size, *told);
        mapped += size;
    }
    return mapped == end - address ? 0 : -ENOMEM;
}

long MemoryCalls::sync(std::uint64_t address, std::uint64_t bytes, std::uint64_t flags) {
    constexpr std::uint64_t kAll = MS_ASYNC | MS_INVALIDATE | MS_SYNC;
    if ((flags & ~kAll) != 0 || address % kPage != 0 || (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC)) {
        return -EINVAL;
    }
    const std::uint64_t end = address + whole_pages(bytes);
    if (end < address) return -ENOMEM;
    if (end == address) return 0;
    std::uint64_t mapped = 0;
    for (const Run& run : runs_in(address, end)) {
        if ((flags & MS_SYNC) != 0) space_.sync(pointer_to(run.begin), run.end - run.begin);
        mapped += run.end - run.begin;
    }
    return mapped == end - address ? 0 : -ENOMEM;
}

}  // namespace faultline::demo::elf
