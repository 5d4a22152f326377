// IoRing: an io_uring, for transfers from and to memory that stays mapped until they end. Either one thread does
// everything, or one at a time queues and submits while one other collects with wait_for.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
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

    /// An empty ring where io_uring is not to be had. Throws std::system_error when no thread can be started, which
    /// making one takes.
    static IoRing open(unsigned depth);

    explicit operator bool() const noexcept { return ring_ != nullptr; }

    /// Adds a write of all of `bytes`; false when the queue is full. `tag` comes back with its completion.
    bool queue_write(int fd, std::span<const std::byte> bytes, std::uint64_t offset, void* tag) noexcept;

    /// Adds a read of up to all of `into`.
    bool queue_read(int fd, std::span<std::byte> into, std::uint64_t offset, void* tag) noexcept;

    /// Hands what is queued to the kernel, as far as it takes it now.
    void submit() noexcept;

    /// Hands everything that is queued to the kernel, however often that takes. False: a seccomp filter keeps the
    /// calling thread from it, and the rest stays queued for another thread's call.
    [[nodiscard]] bool submit_all() noexcept;

    /// Whether wait_for may be called by one thread while another queues and submits.
    [[nodiscard]] bool waits_beside_submitters() const noexcept;

    /// Waits for one completion, or until `limit` is over or the kernel refuses for a moment.
    std::optional<Completion> wait_for(std::chrono::nanoseconds limit) noexcept;

    /// What has ended already, if anything. By whoever calls wait_for. No system call.
    std::optional<Completion> poll() noexcept;

    /// Waits for one completion. There must be something in flight.
    Completion wait() noexcept;

private:
    struct Close {
        void operator()(io_uring* ring) const noexcept;
    };
    std::unique_ptr<io_uring, Close> ring_;
};

}  // namespace faultline::sys
