// BareUserfaultfd: the kernel's mechanism without a library, to measure what the library adds. The calls that resolve
// faults return false with errno and do not throw, because they run in signal handlers and inside measurements.
#pragma once

#include <cstddef>
#include <cstdint>

#include "sys/file_descriptor.hpp"

namespace bench {

class BareUserfaultfd {
public:
    enum class Reading : std::uint8_t { blocking, polled };

    /// Opens the descriptor and does the handshake. Throws std::system_error if the kernel or the user's rights do not
    /// allow it.
    explicit BareUserfaultfd(std::uint64_t features, Reading reading = Reading::blocking);

    /// Registers the range: faults on its absent pages go to this descriptor.
    void watch(std::byte* address, std::size_t bytes);

    /// Installs copies of `bytes` bytes at `source`, and wakes the threads that wait for them.
    bool copy(std::byte* to, const std::byte* source, std::size_t bytes) const noexcept;

    /// Installs the zero page.
    bool zero(std::byte* to, std::size_t bytes) const noexcept;

    /// Moves the frames of `source`, whose pages are absent afterwards. Returns false also if only some moved.
    bool move(std::byte* to, std::byte* source, std::size_t bytes) const noexcept;

    /// Blocks until the next fault, and returns its address; null if a poll found none.
    [[nodiscard]] std::byte* next_fault() const;

private:
    faultline::sys::FileDescriptor fd_;
    Reading reading_;
};

}  // namespace bench
