#include "sys/io_ring.hpp"

#include "core/check.hpp"
#include "sys/own_descriptors.hpp"
#include "sys/placed_ring.hpp"
#include "sys/transient.hpp"

#include <liburing.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

namespace faultline::sys {
namespace {

// A transfer in flight cannot be abandoned, because the device uses its memory. So the kernel gets more time than
// elsewhere.
constexpr std::chrono::nanoseconds kPatience = std::chrono::seconds{60};

IoRing::Completion take(io_uring* ring, io_uring_cqe* completion) noexcept {
    const IoRing::Completion done{io_uring_cqe_get_data(completion), completion->res};
    io_uring_cqe_seen(ring, completion);
    return done;
}

void close_ring(io_uring& ring) noexcept {
    if (!close_placed_ring(ring)) io_uring_queue_exit(&ring);
}

/// Returns 0 or a negated errno.
int make_ring(unsigned depth, io_uring& ring) noexcept {
    if (open_placed_ring(depth, ring) != 0) {
        if (const int error = io_uring_queue_init(depth, &ring, 0)) return error;
    }
    const int fd = add_own_descriptor(ring.ring_fd);
    if (fd < 0) {
        const int error = errno;
        ring.ring_fd = ring.enter_ring_fd = -1;  // closed already
        close_ring(ring);
        return -error;
    }
    ring.ring_fd = ring.enter_ring_fd = fd;
    return 0;
}

std::vector<std::unique_ptr<io_uring>> new_rings(std::size_t count) {
    std::vector<std::unique_ptr<io_uring>> rings(count);
    for (std::unique_ptr<io_uring>& ring : rings) ring = std::make_unique<io_uring>();
    return rings;
}

}  // namespace

void IoRing::Close::operator()(io_uring* ring) const noexcept {
    remove_own_descriptor(ring->ring_fd);
    close_ring(*ring);
    delete ring;
}

IoRing IoRing::open(unsigned depth) { return Opening{{depth}}.take(0); }

// When a ring is closed, the kernel interrupts the current system call of the thread that made it, and of all that
// submitted to it. A read of the program would come short. A thread that has ended makes no system call.
IoRing::Opening::Opening(std::vector<unsigned> depths)
    : depths_{std::move(depths)}, rings_{new_rings(depths_.size())}, maker_{"fl-setup", "see `ulimit -u`", [this] {
                                                                                make();
                                                                            }} {}

IoRing::Opening::~Opening() {
    maker_.join();
    for (std::unique_ptr<io_uring>& ring : rings_) {
        if (ring) Close{}(ring.release());
    }
}

IoRing IoRing::Opening::take(std::size_t index) {
    maker_.join();
    IoRing taken;
    if (rings_[index]) {
        io_uring_ring_dontfork(rings_[index].get());
        taken.ring_.reset(rings_[index].release());
    }
    return taken;
}

/// Allocates nothing: the C library would set up 64 MiB of addresses for the thread.
void IoRing::Opening::make() noexcept {
    for (std::size_t i = 0; i < rings_.size(); ++i) {
        const bool made = depths_[i] != 0 && make_ring(depths_[i], *rings_[i]) == 0;
        if (!made) rings_[i].reset();
    }
}

void IoRing::abandon() noexcept {
    if (!ring_) return;
    remove_own_descriptor(ring_->ring_fd);
    ::close(ring_->ring_fd);
    delete ring_.release();
}

bool IoRing::queue_write(int fd, std::span<const iovec> parts, std::uint64_t offset, void* tag) noexcept {
    io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
    if (entry == nullptr) return false;
    io_uring_prep_writev(entry, fd, parts.data(), static_cast<unsigned>(parts.size()), offset);
    io_uring_sqe_set_data(entry, tag);
    return true;
}

bool IoRing::queue_read(int fd, std::span<std::byte> into, std::uint64_t offset, void* tag) noexcept {
    io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
    if (entry == nullptr) return false;
    io_uring_prep_read(entry, fd, into.data(), static_cast<unsigned>(into.size()), offset);
    io_uring_sqe_set_data(entry, tag);
    return true;
}

void IoRing::submit() noexcept {
    // Transfers that the kernel does not take now (EAGAIN, EBUSY: no memory for requests) stay queued; wait() submits
    // them.
    static_cast<void>(io_uring_submit(ring_.get()));
}

bool IoRing::submit_all() noexcept {
    // EBUSY: completions must be collected first. The collecting thread does that while this one sleeps.
    TransientWait wait{"io_uring_enter", OutOfMemory::wait, kPatience};
    while (io_uring_sq_ready(ring_.get()) > 0) {
        const int result = io_uring_submit(ring_.get());
        if (result == -ENOSYS || result == -EPERM || result == -EACCES) return false;
        FAULTLINE_REQUIRE(result >= 0 || wait.again(-result), "io_uring takes no more requests");
    }
    return true;
}

/// Waiting with a time limit needs a queue entry unless the kernel has an argument for it (Linux 5.11).
bool IoRing::waits_beside_submitters() const noexcept { return (ring_->features & IORING_FEAT_EXT_ARG) != 0; }

std::optional<IoRing::Completion> IoRing::wait_for(std::chrono::nanoseconds limit) noexcept {
    constexpr std::int64_t kSecond = 1'000'000'000;
    __kernel_timespec time{limit.count() / kSecond, limit.count() % kSecond};
    io_uring_cqe* completion = nullptr;
    const int error = io_uring_wait_cqe_timeout(ring_.get(), &completion, &time);
    if (error != 0) {
        FAULTLINE_REQUIRE(error == -ETIME || is_transient(-error), "io_uring lost a read in flight");
        if (error != -ETIME && error != -EINTR) {  // the caller calls again
            note_transient("io_uring_enter", -error);
            nap(std::chrono::milliseconds{1});
        }
        return std::nullopt;
    }
    return take(ring_.get(), completion);
}

std::optional<IoRing::Completion> IoRing::poll() noexcept {
    io_uring_cqe* completion = nullptr;
    if (io_uring_peek_cqe(ring_.get(), &completion) != 0) return std::nullopt;
    return take(ring_.get(), completion);
}

IoRing::Completion IoRing::wait() noexcept {
    TransientWait wait{"io_uring_enter", OutOfMemory::wait, kPatience};
    for (;;) {
        io_uring_cqe* completion = nullptr;
        static_cast<void>(io_uring_submit(ring_.get()));
        const int error = io_uring_wait_cqe(ring_.get(), &completion);
        if (error == 0) return take(ring_.get(), completion);
        // Continuing without the completion would free memory that the device still reads.
        FAULTLINE_REQUIRE(wait.again(-error), "io_uring lost a write in flight");
    }
}

}  // namespace faultline::sys
