// BareUserfaultfd: the kernel's mechanism with nothing on top, to see what a library adds. The resolving calls return
// false with errno instead of throwing: they run in signal handlers and in the middle of measurements.
#pragma once

#include <cstddef>
#include <cstdint>

#include "support/file_descriptor.hpp"

namespace bench {

class BareUserfaultfd {
public:
    enum class Reading : std::uint8_t { blocking, polled };

    /// Opens and shakes hands. Throws std::system_error when the kernel or the user's rights do not allow it.
    explicit BareUserfaultfd(std::uint64_t features, Reading reading = Reading::blocking);

    /// Absent pages of the range fault to this descriptor from now on.
    void watch(std::byte* address, std::size_t bytes);

    /// Installs copies of `bytes` at `source`, and wakes who waits for them.
    bool copy(std::byte* to, const std::byte* source, std::size_t bytes) const noexcept;

    /// Installs the zero page.
    bool zero(std::byte* to, std::size_t bytes) const noexcept;

    /// Moves the frames of `source`, which become absent there. False also when only some moved.
    bool move(std::byte* to, std::byte* source, std::size_t bytes) const noexcept;

    /// Waits for the next fault's address; null when a poll found nothing.
    [[nodiscard]] std::byte* next_fault() const;

private:
    FileDescriptor fd_;
    Reading reading_;
};

}  // namespace bench
