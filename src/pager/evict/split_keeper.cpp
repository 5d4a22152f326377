#include "pager/evict/split_keeper.hpp"

#include "core/units.hpp"
#include "pager/region/fault_path_section.hpp"
#include "sys/transient.hpp"

#include <algorithm>
#include <chrono>

namespace faultline::pager {
namespace {

/// Buffers beyond the first of each kind take at most this part of the memory.
constexpr std::size_t kBufferPart = 8;

constexpr std::int64_t units_of(std::size_t bytes) noexcept {
    return static_cast<std::int64_t>(core::align_up(bytes, core::kUnitBytes) / core::kUnitBytes);
}
std::size_t bytes_of(std::int64_t units) noexcept {
    return static_cast<std::size_t>(std::max<std::int64_t>(units, 0)) * core::kUnitBytes;
}

}  // namespace

void SplitKeeper::set_memory(std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    if (memory_.exchange(bytes) == 0) share_ = MemorySplit::first_share(bytes);
    core_.stores->records().limit_buffers(units_of(bytes / kBufferPart));
    table_.set(units_of(bytes / core::kUnitBytes * core_.frames.bytes_per_frame()));
    moving_.store(true);
}

std::size_t SplitKeeper::records() const FAULTLINE_SIGNAL_SAFE { return bytes_of(core_.stores->records().units()); }

SplitKeeper::Figures SplitKeeper::now() const FAULTLINE_SIGNAL_SAFE {
    const store::CompressedShare pool = core_.stores->compressed_share();
    return {bytes_of(core_.budget.used()), pool.used, records(), pool.limit};
}

SplitKeeper::Figures SplitKeeper::at_rest() noexcept {
    const FaultPathSection section;  // a fork waits for it: the child must not find `busy_` set
    while (busy_.exchange(true)) sys::nap(std::chrono::microseconds{20});  // arithmetic only: it takes microseconds
    const Figures figures = now();
    busy_.store(false);
    return figures;
}

bool SplitKeeper::fits() const FAULTLINE_SIGNAL_SAFE {
    const bool limits_fit =
        core_.limit.bytes.load() + core_.stores->compressed_share().limit <= MemorySplit::divided(memory());
    return limits_fit && now().sum() <= memory() && core_.budget.available() >= 0 &&
           core_.limit.bytes.load() >= least_for_frames();
}

bool SplitKeeper::has_work() const FAULTLINE_SIGNAL_SAFE {
    if (!is_on()) return false;
    return moving_.load(std::memory_order_relaxed) || core_.misses.faults() >= MemorySplit::faults_per_look(memory()) ||
           core_.limit.bytes.load(std::memory_order_relaxed) < least_for_frames();
}

void SplitKeeper::look(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    if (!has_work() || busy_.exchange(true)) return;
    if (core_.misses.faults() >= MemorySplit::faults_per_look(memory())) judge();
    move_limits();
    busy_.store(false);
    const store::CompressedShare pool = core_.stores->compressed_share();
    if (core_.budget.available() < 0 || core_.stores->needs_upkeep()) core_.wake_housekeeper();
    if (pool.used > pool.limit && !core_.housekeeper) {
        static_cast<void>(core_.stores->do_upkeep(queue));  // a failure is tried again
    }
}

void SplitKeeper::judge() FAULTLINE_SIGNAL_SAFE {
    const MemorySplit::Look look{core_.misses.take(core_.departures.evictions()),
                                 static_cast<std::size_t>(core_.budget.used()), core_.misses.memory_cost(),
                                 core_.misses.disk_cost(), core_.stores->compressed_share()};
    share_ = split_.share_after(look, memory());
}

void SplitKeeper::fill_spare() FAULTLINE_SIGNAL_SAFE {
    if (spare_wanted() == 0 || busy_.exchange(true)) return;
    core::RecordMemory& records = core_.stores->records();
    // Not out of the least frames, which are there however large the records are.
    const std::int64_t free = core_.budget.limit() - records.units() - core_.budget.used();
    const std::int64_t units = std::min(spare_wanted(), free);
    if (units > 0 && core_.budget.try_reserve(units)) {
        records.add_spare(units);
        core_.budget.release(units);
    }
    busy_.store(false);
}

/// Returns the least bytes that the frames and the records must have: pins and records cannot be evicted.
std::size_t SplitKeeper::least_for_frames() const FAULTLINE_SIGNAL_SAFE {
    const LimitFigures& limit = core_.limit;
    const std::size_t least = MemorySplit::least_for_frames(memory(), limit.largest_page.load());
    return std::min(least + bytes_of(limit.pinned_units.load()) + records(), MemorySplit::divided(memory()));
}

std::size_t SplitKeeper::compressed_target() const FAULTLINE_SIGNAL_SAFE {
    constexpr std::size_t kSegment = std::size_t{64} << 10;
    return core::align_down(std::min(share_, MemorySplit::divided(memory()) - least_for_frames()), kSegment);
}

void SplitKeeper::move_limits() FAULTLINE_SIGNAL_SAFE {
    const std::size_t compressed = compressed_target();
    const std::size_t frames = MemorySplit::divided(memory()) - compressed;
    if (core_.limit.bytes.load() > frames) frames_.set(frames);
    if (core_.stores->compressed_share().limit > compressed) core_.stores->set_compressed_limit(compressed);
    grow(frames, compressed);
    moving_.store(core_.limit.bytes.load() != frames || core_.stores->compressed_share().limit != compressed);
}

/// Raises the limit of the side that is to grow, as far as the other side has given memory up.
void SplitKeeper::grow(std::size_t frames_wanted, std::size_t compressed_wanted) FAULTLINE_SIGNAL_SAFE {
    const std::size_t frames = core_.limit.bytes.load();
    const store::CompressedShare pool = core_.stores->compressed_share();
    const std::size_t frames_held =
        std::max(frames, bytes_of(core_.budget.used()) + records() + core_.limit.largest_page.load());
    const std::size_t taken = frames_held + std::max(pool.limit, pool.used);
    const std::size_t divided = MemorySplit::divided(memory());
    const std::size_t room = core::align_down(divided - std::min(divided, taken), core::kUnitBytes);
    if (room == 0) return;
    if (frames < frames_wanted) {
        frames_.set(frames + std::min(room, frames_wanted - frames));
    } else if (pool.limit < compressed_wanted) {
        core_.stores->set_compressed_limit(pool.limit + std::min(room, compressed_wanted - pool.limit));
    }
}

}  // namespace faultline::pager
