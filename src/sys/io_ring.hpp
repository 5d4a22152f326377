// IoRing: an io_uring of one thread, for writes from memory that stays mapped until they end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

struct io_uring;

namespace faultline::sys {

class IoRing {
public:
    struct Completion {
        void* tag = nullptr;
        long result = 0;  ///< Bytes written, or a negated errno.
    };

    IoRing() noexcept = default;
    IoRing(IoRing&&) noexcept = default;
    IoRing& operator=(IoRing&&) noexcept = default;
    ~IoRing() = default;

    /// An empty ring where io_uring is not to be had.
    static IoRing open(unsigned depth);

    explicit operator bool() const noexcept { return ring_ != nullptr; }

    /// Adds a write of all of `bytes`; false when the queue is full. `tag` comes back with its completion.
    bool queue_write(int fd, std::span<const std::byte> bytes, std::uint64_t offset, void* tag) noexcept;

    /// Hands what is queued to the kernel.
    void submit() noexcept;

    /// Waits for one completion. There must be something in flight.
    Completion wait() noexcept;

private:
    struct Close {
        void operator()(io_uring* ring) const noexcept;
    };
    std::unique_ptr<io_uring, Close> ring_;
};

}  // namespace faultline::sys
