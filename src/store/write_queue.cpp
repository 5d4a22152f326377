#include "store/write_queue.hpp"

#include "sys/file_write.hpp"

#include <algorithm>
#include <cerrno>

namespace faultline::store {
namespace {

constexpr int kNotWritten = -1;  // not an errno

void write_now(FileWrite& write) FAULTLINE_SIGNAL_SAFE { write.error = write.device->write(write.offset, write.parts); }

/// Writes the first of `writes`, and those to the same device that follow it. Returns their number.
std::size_t write_some(std::span<FileWrite> writes) FAULTLINE_SIGNAL_SAFE {
    const SlotDevice* const device = writes.front().device;
    std::size_t count = 1;
    while (count < writes.size() && writes[count].device == device) ++count;
    device->write_all(writes.first(count));
    return count;
}

std::size_t bytes_of(const FileWrite& write) noexcept {
    std::size_t bytes = 0;
    for (const iovec& part : write.parts) bytes += part.iov_len;
    return bytes;
}

}  // namespace

void SequentialWriteQueue::write(std::span<FileWrite> writes) FAULTLINE_SIGNAL_SAFE {
    while (!writes.empty()) writes = writes.subspan(write_some(writes));
}

std::unique_ptr<WriteQueue> RingWriteQueue::create() {
    sys::IoRing ring = sys::IoRing::open(kDepth);
    if (!ring) return nullptr;
    return std::make_unique<RingWriteQueue>(std::move(ring));
}

void RingWriteQueue::write(std::span<FileWrite> writes) FAULTLINE_SIGNAL_SAFE {
    const bool by_kernel =
        std::all_of(writes.begin(), writes.end(), [](const FileWrite& one) { return one.device->fd() >= 0; });
    if (writes.size() == 1 || !by_kernel) {  // nothing to overlap, or a device that does it by itself: no ring needed
        SequentialWriteQueue{}.write(writes);
        return;
    }
    write_at_once(writes);
    for (FileWrite& one : writes) {
        if (one.error == kNotWritten) write_now(one);
    }
}

/// Writes with the ring. What it leaves short or refuses has the error kNotWritten then. A write beyond the file size
/// limit raises SIGXFSZ in the thread that submits it.
void RingWriteQueue::write_at_once(std::span<FileWrite> writes) {
    const sys::SizeSignalBlock no_size_signal;
    bool too_large = false;
    std::size_t next = 0;
    while (next < writes.size() || in_flight_ > 0) {
        next += submit_some(writes.subspan(next));
        if (in_flight_ > 0 && collect_one() == -EFBIG) too_large = true;
    }
    if (too_large) sys::SizeSignalBlock::take();
}

/// Queues as many writes as the ring takes. Returns how many were handled.
std::size_t RingWriteQueue::submit_some(std::span<FileWrite> writes) {
    std::size_t taken = 0;
    for (FileWrite& one : writes) {
        if (in_flight_ >= depth_) break;
        one.error = kNotWritten;
        if (ring_.queue_write(one.device->fd(), one.parts, one.offset, &one)) ++in_flight_;
        ++taken;
    }
    if (taken > 0) ring_.submit();
    return taken;
}

/// Waits for one write to end. Returns the kernel's result.
long RingWriteQueue::collect_one() {
    const sys::IoRing::Completion completion = ring_.wait();
    auto& one = *static_cast<FileWrite*>(completion.tag);
    --in_flight_;
    if (completion.result == static_cast<long>(bytes_of(one))) one.error = 0;
    return completion.result;
}

std::unique_ptr<WriteQueue> fastest_write_queue() {
    return fastest_write_queue(sys::IoRing::open(RingWriteQueue::kDepth));
}

std::unique_ptr<WriteQueue> fastest_write_queue(sys::IoRing ring) {
    if (!ring) return std::make_unique<SequentialWriteQueue>();
    return std::make_unique<RingWriteQueue>(std::move(ring));
}

}  // namespace faultline::store
