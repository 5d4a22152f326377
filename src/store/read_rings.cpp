#include "store/read_rings.hpp"

#include "store/swap_file.hpp"
#include "sys/clock.hpp"
#include "sys/cpu.hpp"
#include "sys/fork_watch.hpp"
#include "sys/full_transfer.hpp"
#include "sys/syscall.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

namespace faultline::store {
namespace {

/// A thread that finds so much time gone between two looks has lost its CPU to another, unless its own completion has
/// come: the interrupt takes time, too.
constexpr std::chrono::microseconds kLostCpu{50};

/// Reads what is missing after the first `from` bytes. Returns 0 or an errno.
int read_now(const FileRead& read, std::size_t from) FAULTLINE_SIGNAL_SAFE {
    const std::span<std::byte> into = read.into.subspan(from);
    const auto [got, error] = sys::transfer_to_end("pread", into.size(), [&](std::size_t done, std::size_t left) {
        return unless_closed(sys::raw_syscall(SYS_pread64, read.fd, sys::syscall_argument(into.data() + done), left,
                                              read.offset + from + done));
    });
    if (error != 0 || got == into.size()) return error;
    if (read.end == FileEnd::never || core::align_up(from + got, core::kUnitBytes) < read.into.size()) return EIO;
    std::memset(into.data() + got, 0, into.size() - got);
    return 0;
}

int read_in_turn(std::span<const FileRead> reads) FAULTLINE_SIGNAL_SAFE {
    for (const FileRead& one : reads) {
        if (const int error = read_now(one, 0)) return error;
    }
    return 0;
}

bool needs_device(const FileRead& one) FAULTLINE_SIGNAL_SAFE { return one.device != nullptr; }

/// Makes neighbouring reads of one device together, and those of files one after the other.
int read_by_devices(std::span<const FileRead> reads) FAULTLINE_SIGNAL_SAFE {
    while (!reads.empty()) {
        const SlotDevice* const device = reads.front().device;
        std::size_t together = 1;
        while (together < reads.size() && reads[together].device == device) ++together;
        const std::span<const FileRead> some = reads.first(together);
        if (const int error = device != nullptr ? device->read_all(some) : read_in_turn(some)) return error;
        reads = reads.subspan(together);
    }
    return 0;
}

}  // namespace

// ---- SpinPolicy

std::chrono::nanoseconds SpinPolicy::begin(unsigned cpus) FAULTLINE_SIGNAL_SAFE {
    constexpr int kTimesAsLong = 3;  // most reads that are late come before
    const bool looking_pays = !in_vain() && looked_.get() <= slept_.get();
    const std::uint32_t one_in = in_vain() ? kTryInVainOneIn : kTryOneIn;
    const bool try_other = reads_.fetch_add(1, std::memory_order_relaxed) % one_in == one_in - 1;
    if (looking_pays == try_other) return {};
    if (looking_.fetch_add(1, std::memory_order_relaxed) < cpus) {
        return std::min(looked_.get(), kSlowRead) * kTimesAsLong;
    }
    looking_.fetch_sub(1, std::memory_order_relaxed);
    return {};
}

/// True if threads that looked lost their CPU lately, or if the disk is slow.
bool SpinPolicy::in_vain() const FAULTLINE_SIGNAL_SAFE {
    return score_.load(std::memory_order_relaxed) == 0 || looked_.get() > kSlowRead;
}

void SpinPolicy::end(bool lost_cpu) FAULTLINE_SIGNAL_SAFE {
    looking_.fetch_sub(1, std::memory_order_relaxed);
    const std::uint32_t score = score_.load(std::memory_order_relaxed);
    const std::uint32_t next = lost_cpu ? score / 2 : std::min(score + 1, kMostScore);
    if (next != score) score_.store(next, std::memory_order_relaxed);
}

// ---- ReadRings

ReadRings& ReadRings::of_process() {
    static auto* const rings = new ReadRings;  // never destroyed: see the header
    return *rings;
}

ReadRings::Opening::Opening(ReadRings& rings) : rings_{rings}, lock_{rings.opening_} {
    if (rings_.opened_by_.load() == sys::process_generation()) return;
    rings_.free_.store(0);
    for (sys::IoRing& ring : rings_.rings_) ring.abandon();
    rings_.cpus_ = std::max(sys::allowed_cpus(), 1U);
    made_.emplace(std::vector<unsigned>(std::min(rings_.cpus_, kMostRings), ReadPlan::kMostReads));
}

ReadRings::Opening::~Opening() {
    if (!made_) return;
    std::uint64_t opened = 0;
    for (unsigned i = 0; i < std::min(rings_.cpus_, kMostRings); ++i) {
        rings_.rings_[i] = made_->take(i);
        if (rings_.rings_[i]) opened |= std::uint64_t{1} << i;
    }
    rings_.free_.store(opened);
    rings_.opened_by_.store(sys::process_generation());
}

int ReadRings::read(std::span<const FileRead> reads, DuringRead* meanwhile) FAULTLINE_SIGNAL_SAFE {
    if (reads.empty()) return 0;
    if (std::any_of(reads.begin(), reads.end(), needs_device)) return read_by_devices(reads);
    // A child of fork that has not opened its own must not use its parent's.
    const bool own = opened_by_.load(std::memory_order_acquire) == sys::process_generation();
    std::uint64_t free = own ? free_.load(std::memory_order_relaxed) : 0;
    while (free != 0) {
        const auto index = static_cast<unsigned>(std::countr_zero(free));
        if (!free_.compare_exchange_weak(free, free & (free - 1), std::memory_order_acquire)) continue;
        return read_through(index, reads, meanwhile);
    }
    return read_in_turn(reads);
}

int ReadRings::read_through(unsigned index, std::span<const FileRead> reads,
                            DuringRead* meanwhile) FAULTLINE_SIGNAL_SAFE {
    sys::IoRing& ring = rings_[index];
    std::array<long, ReadPlan::kMostReads> results{};
    for (std::size_t i = 0; i < reads.size(); ++i) {
        static_cast<void>(ring.queue_read(reads[i].fd, reads[i].into, reads[i].offset, &results[i]));
    }
    // A seccomp filter of this thread forbids it. The ring is never used again: it holds the requests.
    if (!ring.submit_all()) return read_in_turn(reads);
    const std::chrono::nanoseconds submitted = sys::monotonic_time();
    if (meanwhile != nullptr) meanwhile->work_during_read();
    SpinPolicy::Wait wait = SpinPolicy::Wait::found;
    for (std::size_t i = 0; i < reads.size(); ++i) {
        const sys::IoRing::Completion done = await(ring, wait);
        *static_cast<long*>(done.tag) = done.result;
    }
    if (reads.size() == 1) spin_.record(wait, sys::monotonic_time() - submitted);
    free_.fetch_or(std::uint64_t{1} << index, std::memory_order_release);
    for (std::size_t i = 0; i < reads.size(); ++i) {
        if (results[i] == static_cast<long>(reads[i].into.size())) continue;
        if (const int error = read_now(reads[i], static_cast<std::size_t>(std::max(results[i], 0L)))) return error;
    }
    return 0;
}

/// Looks for a completion, then sleeps for it. `wait`: which of the two the thread did first; unchanged if it had to do
/// neither.
sys::IoRing::Completion ReadRings::await(sys::IoRing& ring, SpinPolicy::Wait& wait) FAULTLINE_SIGNAL_SAFE {
    if (const auto done = ring.poll()) return *done;
    const std::chrono::nanoseconds longest = spin_.begin(cpus_);
    wait = longest.count() > 0 ? SpinPolicy::Wait::looked : SpinPolicy::Wait::slept;
    if (wait == SpinPolicy::Wait::slept) return ring.wait();
    const std::chrono::nanoseconds began = sys::monotonic_time();
    std::optional<sys::IoRing::Completion> done;
    bool lost_cpu = false;
    for (std::chrono::nanoseconds last = began; !lost_cpu && last - began < longest;) {
        for (int i = 0; i < 8; ++i) __builtin_ia32_pause();
        const std::chrono::nanoseconds now = sys::monotonic_time();
        done = ring.poll();
        if (done) break;
        lost_cpu = now - last > kLostCpu;
        last = now;
    }
    spin_.end(lost_cpu);
    return done ? *done : ring.wait();
}

int read_by_plan(BackingStore& store, std::span<const StoreRead> reads, DuringRead* meanwhile) FAULTLINE_SIGNAL_SAFE {
    ReadPlan plan;
    int error = store.plan_read(reads, plan);
    if (error == 0) error = ReadRings::of_process().read(plan.reads(), meanwhile);
    return error != 0 || plan.reads().empty() ? error : store.check_read(reads);
}

int read_in_pieces(BackingStore& store, std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE {
    while (!into.empty()) {
        const StoreRead one{offset, into.first(std::min(into.size(), ReadPlan::kMostBytes))};
        if (const int error = store.read_pages({&one, 1}, nullptr)) return error;
        offset += one.into.size();
        into = into.subspan(one.into.size());
    }
    return 0;
}

}  // namespace faultline::store
