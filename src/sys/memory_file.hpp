// MemoryFile: memory that is a file (memfd_create(2)), so that it can be seen at several addresses, at none, and be
// reached behind all of them. It knows nothing of pages: who shows what where, the mappers decide.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/file_descriptor.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::sys {

/// Calls that are signal-safe return 0 or an errno. Offsets and sizes are in bytes, those of mappings multiples of 4
/// KiB.
class MemoryFile {
public:
    /// A file of no bytes: an access to what is mapped from it raises SIGBUS. Throws std::system_error (EMFILE).
    [[nodiscard]] static MemoryFile empty(const char* name);

    /// A file in which every address is an offset, so that nothing has to say where a page's bytes are. Throws
    /// std::system_error: EFBIG under a file size limit, EMFILE.
    [[nodiscard]] static MemoryFile of_addresses(const char* name);

    /// Writes all of it; EIO where it does not fit.
    [[nodiscard]] int write(const void* from, std::size_t bytes, std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int read(void* into, std::size_t bytes, std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE;

    /// Gives the memory of a range back to the kernel: it reads as zeros. Ends the process where that fails.
    void free(std::uint64_t offset, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE;

    /// Maps the file from `offset` over the range, in place of what is there, for this process only, left out of core
    /// dumps and of what a program's mlockall does. `protection` as mmap(2) has it.
    [[nodiscard]] int map(void* address, std::size_t bytes, std::uint64_t offset,
                          int protection) const FAULTLINE_SIGNAL_SAFE;

private:
    explicit MemoryFile(FileDescriptor fd) noexcept : fd_{std::move(fd)} {}

    FileDescriptor fd_;
};

/// Maps zeros without access over the range in the same way, in place of what is there. Returns 0 or an errno.
[[nodiscard]] int map_nothing(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::sys
