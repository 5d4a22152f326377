// IoRing: an io_uring for transfers from and to memory, which must stay mapped until the transfers end. Either one
// thread makes all calls, or one thread at a time queues and submits while another collects with wait_for. It does not
// retry transfers: RingWriteQueue and AsyncReader, which use it, handle short and failed ones.
#pragma once

#include "sys/service_thread.hpp"

#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

struct io_uring;

namespace faultline::sys {

class IoRing {
public:
    struct Completion {
        void* tag = nullptr;
        long result = 0;  ///< Bytes transferred, or a negated errno.
    };

    IoRing() noexcept = default;
    IoRing(IoRing&&) noexcept = default;
    IoRing& operator=(IoRing&&) noexcept = default;
    ~IoRing() = default;

    /// Returns an empty ring if io_uring is not available. Throws std::system_error if no thread can be started, which
    /// opening a ring needs.
    static IoRing open(unsigned depth);

    /// Opens several rings at the cost of one thread, while the caller does something else.
    class Opening {
    public:
        /// Begins to open a ring of each depth; 0: none. Throws std::system_error if no thread can be started.
        explicit Opening(std::vector<unsigned> depths);
        ~Opening();
        Opening(const Opening&) = delete;
        Opening& operator=(const Opening&) = delete;

        /// Waits until the rings are open, and gives one to the caller: an empty one if io_uring is not available.
        [[nodiscard]] IoRing take(std::size_t index);

    private:
        void make() noexcept;

        std::vector<unsigned> depths_;
        std::vector<std::unique_ptr<io_uring>> rings_;  // null: refused
        ServiceThread maker_;                           // last: joined before the rest goes
    };

    explicit operator bool() const noexcept { return ring_ != nullptr; }

    /// Gives the ring up in a child of fork, which does not have its memory. The parent keeps it.
    void abandon() noexcept;

    /// Queues a write of all of `parts`, which must exist until the completion. Returns false if the queue is full. The
    /// completion carries `tag`.
    bool queue_write(int fd, std::span<const iovec> parts, std::uint64_t offset, void* tag) noexcept;

    /// Queues a read of at most all of `into`. Otherwise like queue_write.
    bool queue_read(int fd, std::span<std::byte> into, std::uint64_t offset, void* tag) noexcept;

    /// Submits queued transfers. The kernel may take only a part of them now.
    void submit() noexcept;

    /// Submits everything that is queued, in as many calls as needed. Returns false if a seccomp filter forbids the
    /// call to the calling thread; the rest stays queued for another thread.
    [[nodiscard]] bool submit_all() noexcept;

    /// Returns true if one thread may call wait_for while another queues and submits.
    [[nodiscard]] bool waits_beside_submitters() const noexcept;

    /// Waits for one completion. Returns nothing after `limit`, or if the kernel refuses for a moment.
    std::optional<Completion> wait_for(std::chrono::nanoseconds limit) noexcept;

    /// Returns a completion if one is ready. Only for the thread that calls wait_for. No system call.
    std::optional<Completion> poll() noexcept;

    /// Waits for one completion. At least one transfer must be in flight.
    Completion wait() noexcept;

private:
    struct Close {
        void operator()(io_uring* ring) const noexcept;
    };
    std::unique_ptr<io_uring, Close> ring_;
};

}  // namespace faultline::sys
