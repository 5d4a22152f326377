// BlockFile: positioned reads and writes as the kernel gives them: short, interrupted, failing. A seam under FileStore,
// so that tests can shorten, delay and fail.
#pragma once

#include "core/signal_safe.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::store {

/// Each transfer returns the bytes transferred or a negated errno. Signal-safe, thread-safe.
class BlockFile {
public:
    virtual ~BlockFile() = default;
    [[nodiscard]] virtual long read_at(void* into, std::size_t bytes, std::uint64_t offset) FAULTLINE_SIGNAL_SAFE = 0;
    [[nodiscard]] virtual long write_at(const void* from, std::size_t bytes,
                                        std::uint64_t offset) FAULTLINE_SIGNAL_SAFE = 0;
    /// A range is about to be written, by write_at or to fd(). Call before every write: a range that was punched and is
    /// written without it may lose what is written.
    virtual void make_room([[maybe_unused]] std::uint64_t offset,
                           [[maybe_unused]] std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {}
    /// Gives the blocks of a range back to the file system, as far as it can, now or later. The range is not read
    /// before it is written again.
    virtual void punch(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE = 0;
    /// The descriptor, or -1 where transfers must go through this object.
    [[nodiscard]] virtual int fd() const FAULTLINE_SIGNAL_SAFE { return -1; }
};

}  // namespace faultline::store
