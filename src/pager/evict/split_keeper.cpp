#include "pager/evict/split_keeper.hpp"

#include "core/units.hpp"
#include "pager/region/fault_path_section.hpp"
#include "sys/transient.hpp"

#include <algorithm>
#include <chrono>

namespace faultline::pager {
namespace {

/// Returns the memory for buffers that counts from the start, since their first use takes it at once: those of a few
/// threads that compress, spill and read.
constexpr std::size_t least_working_memory(std::size_t memory) noexcept {
    constexpr std::size_t kOneThread = std::size_t{512} << 10;
    return memory < MemorySplit::kLeastMemory ? memory / 8
                                              : std::max(std::min(memory / 16, 2 * kOneThread), kOneThread);
}

constexpr std::int64_t units_of(std::size_t bytes) noexcept {
    return static_cast<std::int64_t>(core::align_up(bytes, core::kUnitBytes) / core::kUnitBytes);
}
std::size_t bytes_of(std::int64_t units) noexcept {
    return static_cast<std::size_t>(std::max<std::int64_t>(units, 0)) * core::kUnitBytes;
}

}  // namespace

void SplitKeeper::set_memory(std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    if (memory_.exchange(bytes) == 0) share_ = MemorySplit::first_share(bytes);
    measure_working_memory();  // a raised limit sets more aside for buffers, before the frames get the rest
    table_.set(units_of(bytes / core::kUnitBytes * FrameTable::kBytesPerFrame));
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
    const MemorySplit::Look look{core_.misses.take(), static_cast<std::size_t>(core_.budget.used()),
                                 core_.misses.memory_cost(), core_.misses.disk_cost(),
                                 core_.stores->compressed_share()};
    share_ = split_.share_after(look, memory());
    measure_working_memory();
}

void SplitKeeper::measure_working_memory() FAULTLINE_SIGNAL_SAFE {
    const std::size_t measured = core_.stores->working_memory() + bytes_of(core_.buffers.units());
    working_.set(units_of(std::max(measured, least_working_memory(memory()))));
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
