#include "pager/fault/async_reader.hpp"

#include "core/check.hpp"
#include "pager/fault/buffer_pool.hpp"
#include "pager/region/region_map.hpp"
#include "sys/clock.hpp"
#include "sys/futex.hpp"
#include "sys/syscall.hpp"
#include "sys/transient.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <utility>

namespace faultline::pager {
namespace {

static_assert(AsyncReader::kDepth <= sys::SlotPool::kMost);

constexpr std::uint64_t kMostPagesAtOnce = 64;  // of one request

constexpr std::chrono::nanoseconds kTick = std::chrono::seconds{1};

std::uint64_t now() FAULTLINE_SIGNAL_SAFE { return static_cast<std::uint64_t>(sys::monotonic_time().count()); }

}  // namespace

std::unique_ptr<AsyncReader> AsyncReader::start(PrefetchStarter& starter, unsigned handlers,
                                                std::chrono::nanoseconds patience, core::RecordMemory& records,
                                                sys::IoRing ring) {
    if (!ring || !ring.waits_beside_submitters()) return nullptr;
    sys::FileDescriptor bell{::eventfd(0, EFD_CLOEXEC)};
    if (!bell) return nullptr;
    return std::make_unique<AsyncReader>(starter, handlers, std::move(ring), std::move(bell), patience, records);
}

AsyncReader::AsyncReader(PrefetchStarter& starter, unsigned handlers, sys::IoRing ring, sys::FileDescriptor bell,
                         std::chrono::nanoseconds patience, core::RecordMemory& records)
    : starter_{starter},
      handlers_{handlers},
      patience_{patience},
      buffers_{{kDepth, BufferPool::kBufferBytes, 0}, "read buffers", &records, false},
      ring_{std::move(ring)},
      bell_{std::move(bell)},
      thread_{"fl-reader", "see `ulimit -u`", [this] { run(); }} {}

AsyncReader::~AsyncReader() {
    stopping_.store(true);
    wake();
}

bool AsyncReader::begin(PageFill& fill) FAULTLINE_SIGNAL_SAFE {
    if (!queue(fill)) return false;
    submit();
    return true;
}

void AsyncReader::submit() FAULTLINE_SIGNAL_SAFE {
    {
        const std::scoped_lock lock{submitting_};
        if (ring_.submit_all()) return;
    }
    wake();  // the reader thread submits what it finds queued
}

bool AsyncReader::queue(PageFill& fill) FAULTLINE_SIGNAL_SAFE {
    const std::size_t bytes = fill.window().span() * fill.region().page_bytes();
    if (bytes > BufferPool::kBufferBytes) return false;
    const unsigned index = buffers_.try_take();
    if (index == sys::BufferSet::kNone) return false;
    store::ReadPlan plan;
    const int error = fill.region().store().plan_read(fill.reads_into(buffer(index, bytes)).span(), plan);
    const auto parts = static_cast<std::uint32_t>(plan.reads().size());
    if (error == 0 && parts == 0) fill.finish(buffer(index, bytes));
    if (error != 0 || parts == 0 || !reserve_parts(parts)) {
        buffers_.give_back(index);
        return error == 0 && parts == 0;
    }
    begin_parts(index, fill, plan);
    return true;
}

bool AsyncReader::reserve_parts(std::uint32_t parts) FAULTLINE_SIGNAL_SAFE {
    if (parts_in_flight_.fetch_add(parts) + parts <= kMostParts) return true;
    parts_in_flight_.fetch_sub(parts);
    return false;
}

void AsyncReader::begin_parts(unsigned index, PageFill& fill, const store::ReadPlan& plan) FAULTLINE_SIGNAL_SAFE {
    Slot& slot = slots_[index];
    slot.fill.emplace(std::move(fill));
    slot.parts_left = plan.reads().size();
    slot.short_read = false;
    slot.began.store(now(), std::memory_order_release);  // publishes the slot to the reader thread
    const std::scoped_lock lock{submitting_};
    for (std::size_t i = 0; i < plan.reads().size(); ++i) {
        const store::FileRead& read = plan.reads()[i];
        slot.parts[i] = {&slot, read.into.size()};
        const bool queued = ring_.queue_read(read.fd, read.into, read.offset, &slot.parts[i]);
        FAULTLINE_REQUIRE(queued, "more reads are in flight than the ring has room for");
    }
}

bool AsyncReader::prefetch(const PrefetchRequest& request) FAULTLINE_SIGNAL_SAFE {
    {
        const std::scoped_lock lock{requesting_};
        if (request_count_ == kMostRequests) return false;
        requests_[(first_request_ + request_count_++) % kMostRequests] = request;
        requests_left_.fetch_add(1);
    }
    wake();
    return true;
}

void AsyncReader::wait_until_begun() noexcept {
    // This waits for requests that come meanwhile, too, which costs a little and is simple.
    for (std::uint32_t left = requests_left_.load(); left != 0; left = requests_left_.load()) {
        sys::futex_wait(requests_left_, left);
    }
}

void AsyncReader::wake() FAULTLINE_SIGNAL_SAFE {
    if (woken_.exchange(true)) return;
    const std::uint64_t one = 1;
    const int error = sys::wait_out("write to an eventfd", [&] {
        return sys::error_of(sys::raw_syscall(SYS_write, bell_.get(), sys::syscall_argument(&one), sizeof one));
    });
    FAULTLINE_REQUIRE(error == 0, "the reader thread cannot be woken: has the program closed its descriptor?");
}

void AsyncReader::await_wake_up() noexcept {
    const std::scoped_lock lock{submitting_};
    const bool queued = ring_.queue_read(bell_.get(), std::as_writable_bytes(std::span{&rings_, 1}), 0, &bell_);
    FAULTLINE_REQUIRE(queued, "a ring is full that has room for more than there are slots");
    const bool submitted = ring_.submit_all();
    FAULTLINE_REQUIRE(submitted, "a seccomp filter forbids io_uring to the reader thread, for which it was allowed");
}

void AsyncReader::drain() noexcept {
    {
        const std::scoped_lock lock{requesting_};
        requests_left_.fetch_sub(static_cast<std::uint32_t>(request_count_));
        request_count_ = 0;
    }
    wait_until_begun();
    buffers_.slots().wait_until_unused();
}

std::span<std::byte> AsyncReader::buffer(unsigned index, std::size_t bytes) const noexcept {
    return buffers_.bytes_of(index).first(bytes);
}

// ---- the reader thread

void AsyncReader::run() noexcept {
    await_wake_up();
    for (;;) {
        std::optional<sys::IoRing::Completion> completion = ring_.wait_for(kTick);
        if (!completion) check_patience();
        for (; completion; completion = ring_.poll()) {
            if (!take(*completion)) return;
        }
        if (buffers_.slots().held() <= kEnoughInFlight) begin_prefetches();
    }
}

bool AsyncReader::take(const sys::IoRing::Completion& completion) noexcept {
    if (completion.tag != &bell_) {
        finish_part(*static_cast<const Part*>(completion.tag), completion.result);
        return true;
    }
    woken_.store(false);
    if (stopping_.load()) return false;
    await_wake_up();
    return true;
}

/// Begins prefetches, as long as there are slots left for faults.
void AsyncReader::begin_prefetches() noexcept {
    if (requests_left_.load(std::memory_order_relaxed) == 0) return;
    while (buffers_.slots().held() < kDepth - kForFaults) {
        const sys::Quiescence::Reader reader{RegionMap::readers()};
        PrefetchRequest next{};
        if (!take_request(next)) break;
        starter_.begin_prefetch(next);
        if (requests_left_.fetch_sub(1) == 1) sys::futex_wake(requests_left_);
    }
    submit();
}

/// Takes up to kMostPagesAtOnce pages off the front of the list. The rest of an entry stays there and counts beside
/// them.
bool AsyncReader::take_request(PrefetchRequest& next) noexcept {
    const std::scoped_lock lock{requesting_};
    if (request_count_ == 0) return false;
    PrefetchRequest& front = requests_[first_request_];
    next = front;
    next.pages.count = std::min(front.pages.count, kMostPagesAtOnce);
    front.pages = {front.pages.first + next.pages.count, front.pages.count - next.pages.count};
    if (front.pages.count > 0) {
        requests_left_.fetch_add(1);
        return true;
    }
    first_request_ = (first_request_ + 1) % kMostRequests;
    --request_count_;
    return true;
}

void AsyncReader::finish_part(const Part& part, long result) noexcept {
    Slot& slot = *part.slot;
    // The kernel orders this after begin_parts(), which the language does not know.
    static_cast<void>(slot.began.load(std::memory_order_acquire));
    slot.short_read |= result != static_cast<long>(part.bytes);
    parts_in_flight_.fetch_sub(1);
    if (--slot.parts_left == 0) finish(static_cast<unsigned>(&slot - slots_.data()));
}

/// All parts have been read.
void AsyncReader::finish(unsigned index) noexcept {
    // Not a RegionReader: a fork keeps those out, and waits for the reads in flight.
    const sys::Quiescence::Reader reader{RegionMap::readers()};
    Slot& slot = slots_[index];
    {
        PageFill& fill = *slot.fill;
        const std::span<std::byte> bytes = buffer(index, fill.window().span() * fill.region().page_bytes());
        const bool valid = !slot.short_read && fill.region().store().check_read(fill.reads_into(bytes).span()) == 0;
        fill.finish(valid ? bytes : std::span<std::byte>{});
    }
    slot.fill.reset();
    slot.began.store(0, std::memory_order_relaxed);
    buffers_.give_back(index);
}

void AsyncReader::check_patience() const noexcept {
    const std::uint64_t latest = now();
    buffers_.slots().for_each_held([&](unsigned index) {
        const std::uint64_t began = slots_[index].began.load(std::memory_order_relaxed);
        const bool too_old = began != 0 && std::chrono::nanoseconds{latest - began} > patience_ && latest > began;
        FAULTLINE_REQUIRE(!too_old, "a read has not ended and is given up: is a disk stuck?");
    });
}

}  // namespace faultline::pager
