// BlockFile: positioned reads and writes with the results of the kernel: short, interrupted or failed. FileStore calls
// it and finishes short transfers; SwapFile implements it. Tests replace this class to shorten, delay and fail
// transfers.
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
    /// Prepares the range for a write, by write_at or to fd(). Call before every write: otherwise a punch in progress
    /// may destroy the bytes.
    virtual void prepare_write([[maybe_unused]] std::uint64_t offset,
                               [[maybe_unused]] std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {}
    /// Frees the blocks of a range in the file system, now or later, as far as possible. The caller does not read the
    /// range before it writes it again.
    virtual void punch(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE = 0;
    /// Returns the descriptor, or -1 if transfers must go through this object.
    [[nodiscard]] virtual int fd() const FAULTLINE_SIGNAL_SAFE { return -1; }
};

}  // namespace faultline::store
