// MemoryFile: memory in the form of a file (memfd_create(2)). It can be mapped at several addresses or at none, and
// read and written through its descriptor. It knows nothing about pages: FileMappings and UffdSharedMapper decide where
// it is mapped.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/file_descriptor.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::sys {

/// Signal-safe calls return 0 or an errno. Offsets and sizes are in bytes; those of mappings are multiples of 4 KiB.
class MemoryFile {
public:
    /// Returns an empty file: an access to a mapping of it raises SIGBUS. Throws std::system_error (EMFILE).
    [[nodiscard]] static MemoryFile empty(const char* name);

    /// Returns a file as long as the address space: the offset of a page is its address, so no map is needed. Throws
    /// std::system_error: EFBIG under a file size limit, EMFILE.
    [[nodiscard]] static MemoryFile of_addresses(const char* name);

    /// Writes or reads all bytes, or fails. EIO: the kernel transferred none.
    [[nodiscard]] int write(const void* from, std::size_t bytes, std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int read(void* into, std::size_t bytes, std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE;

    /// Returns the memory of a range to the kernel; afterwards it reads as zeros. Ends the process on failure.
    void free(std::uint64_t offset, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE;

    /// Maps the file from `offset` over the range and replaces what is mapped there. Fork and core dumps leave the
    /// mapping out, and the program's mlockall does not fill it. `protection` is that of mmap(2).
    [[nodiscard]] int map(void* address, std::size_t bytes, std::uint64_t offset,
                          int protection) const FAULTLINE_SIGNAL_SAFE;

private:
    explicit MemoryFile(FileDescriptor fd) noexcept : fd_{std::move(fd)} {}

    FileDescriptor fd_;
};

/// Maps inaccessible zeros over the range in the same way. Returns 0 or an errno.
[[nodiscard]] int map_inaccessible(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::sys
