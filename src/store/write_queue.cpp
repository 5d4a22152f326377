#include "store/write_queue.hpp"

#include "core/check.hpp"

#include <cerrno>

namespace faultline::store {
namespace {

constexpr int kNotWritten = -1;  // not an errno

void write_now(StoreWrite& write) FAULTLINE_SIGNAL_SAFE { write.error = write.store->write(write.offset, write.bytes); }

}  // namespace

void SequentialWriteQueue::write(std::span<StoreWrite> writes) FAULTLINE_SIGNAL_SAFE {
    for (StoreWrite& one : writes) write_now(one);
}

std::unique_ptr<WriteQueue> RingWriteQueue::create() {
    sys::IoRing ring = sys::IoRing::open(kDepth);
    if (!ring) return nullptr;
    return std::make_unique<RingWriteQueue>(std::move(ring));
}

void RingWriteQueue::write(std::span<StoreWrite> writes) FAULTLINE_SIGNAL_SAFE {
    if (writes.size() == 1) {  // nothing to overlap: no ring needed
        write_now(writes.front());
        return;
    }
    std::size_t next = 0;
    while (next < writes.size() || in_flight_ > 0) {
        next += submit_some(writes.subspan(next));
        if (in_flight_ > 0) collect_one();
    }
    for (StoreWrite& one : writes) {
        if (one.error == kNotWritten) write_now(one);
    }
}

/// Queues as many writes as the ring takes. Returns how many were handled.
std::size_t RingWriteQueue::submit_some(std::span<StoreWrite> writes) {
    std::size_t taken = 0;
    for (StoreWrite& one : writes) {
        if (in_flight_ >= depth_) break;
        one.error = kNotWritten;
        const FileExtent extent = one.store->extent();
        if (extent.fd >= 0) one.store->begin_extent_write(one.offset, one.bytes.size());
        if (extent.fd >= 0 && ring_.queue_write(extent.fd, one.bytes, extent.offset + one.offset, &one)) ++in_flight_;
        ++taken;
    }
    if (taken > 0) ring_.submit();
    return taken;
}

void RingWriteQueue::collect_one() {
    const sys::IoRing::Completion completion = ring_.wait();
    auto& one = *static_cast<StoreWrite*>(completion.tag);
    --in_flight_;
    if (completion.result != static_cast<long>(one.bytes.size())) return;
    one.store->finish_extent_write(
        one.offset,
        one.bytes.size());  // the write bypassed the store, which must know of it before a read
    one.error = 0;
}

std::unique_ptr<WriteQueue> fastest_write_queue() {
    std::unique_ptr<WriteQueue> queue = RingWriteQueue::create();
    if (!queue) queue = std::make_unique<SequentialWriteQueue>();
    return queue;
}

}  // namespace faultline::store
