// SlotDevice: an array of bytes in which swap slots lie: a swap file, or a Store of the program. SlotTable says which
// slots lie in which device. A device does not know what its bytes are.
#pragma once

#include "core/signal_safe.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::store {

struct FileRead;
struct FileWrite;

/// Thread-safe. Offsets and sizes are multiples of 4 KiB. Calls that return int return 0 or an errno. Short and
/// interrupted transfers are finished.
class SlotDevice {
public:
    virtual ~SlotDevice() = default;

    /// Returns the descriptor by which the kernel transfers bytes (io_uring, pread); -1 if only read_all and write can.
    [[nodiscard]] virtual int fd() const FAULTLINE_SIGNAL_SAFE = 0;

    /// Makes the device at least `bytes` long without taking space for them. Throws std::system_error (EFBIG).
    virtual void extend_to(std::uint64_t bytes) = 0;
    [[nodiscard]] virtual std::uint64_t length() const noexcept = 0;
    /// Returns the most bytes that extend_to accepts.
    [[nodiscard]] virtual std::uint64_t most_bytes() const noexcept = 0;

    /// Returns the bytes that can still be written; the largest number if that is unknown.
    [[nodiscard]] virtual std::uint64_t free_space() const noexcept = 0;
    /// Returns the bytes of the medium, free or not; the largest number if that is unknown.
    [[nodiscard]] virtual std::uint64_t medium_bytes() const noexcept = 0;

    /// Makes all reads, which are of this device, and at the same time if it can. Returns the first error.
    [[nodiscard]] virtual int read_all(std::span<const FileRead> reads) const FAULTLINE_SIGNAL_SAFE = 0;
    /// Writes the parts, at most 1024, one after the other from `offset` on.
    [[nodiscard]] virtual int write(std::uint64_t offset, std::span<const iovec> parts) const FAULTLINE_SIGNAL_SAFE = 0;
    /// Makes all writes, which are to this device, and at the same time if it can. Sets the error of each.
    virtual void write_all(std::span<FileWrite> writes) const FAULTLINE_SIGNAL_SAFE = 0;

    /// Takes the space of a range, which is about to be written. Ignores a refusal.
    virtual void allocate(std::uint64_t offset, std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE = 0;

    /// Gives back the space of a range, as far as possible. The caller does not read the range before it writes it
    /// again, and writes nothing there meanwhile.
    virtual void punch(std::uint64_t offset, std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE = 0;

protected:
    SlotDevice() = default;
    SlotDevice(const SlotDevice&) = default;
    SlotDevice(SlotDevice&&) = default;
    SlotDevice& operator=(const SlotDevice&) = default;
    SlotDevice& operator=(SlotDevice&&) = default;
};

}  // namespace faultline::store
