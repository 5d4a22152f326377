#include "pager/frame/memory_split.hpp"

#include "core/units.hpp"

#include <faultline/pager.hpp>

#include <algorithm>

namespace faultline::pager {
namespace {

// With fewer faults behind them, the counts are chance.
constexpr double kLeastEvidence = 16;
// A side must save so much more time than the other to get memory.
constexpr double kHysteresis = 1.15;
// If fewer pages shrink, compression only costs time.
constexpr double kLeastKept = 1.0 / 16;
constexpr unsigned kMostDoublings = 2;

double share_of(double part, double rest) noexcept { return part + rest <= 0 ? 1 : part / (part + rest); }

}  // namespace

std::size_t MemorySplit::least_for_frames(std::size_t memory, std::size_t largest_page) noexcept {
    return std::max(memory / 8, 2 * faultline::Pager::kMinimumPages * largest_page);
}

std::size_t MemorySplit::share_after(const Look& look, std::size_t memory) FAULTLINE_SIGNAL_SAFE {
    remember(look);
    const Direction wanted = direction(look);
    const std::size_t bytes = step(wanted, memory);
    const std::size_t now = look.pool.limit;
    if (wanted == Direction::to_compressed) return now + bytes;
    if (wanted == Direction::to_frames) return std::max(now - std::min(now, bytes), least_share(memory));
    return now;
}

void MemorySplit::remember(const Look& look) FAULTLINE_SIGNAL_SAFE {
    const auto per_eviction = [](std::uint64_t faults, std::uint32_t begin, std::uint32_t end) {
        return static_cast<double>(faults) / static_cast<double>(end - begin + 1);
    };
    const MissRanges& ranges = look.ranges;
    near_ = near_ / 2 + per_eviction(look.misses.near, 0, ranges.near);
    border_ = border_ / 2 + per_eviction(look.misses.border, ranges.border_begin, ranges.border_end);
    evidence_ = evidence_ / 2 + static_cast<double>(look.misses.near + look.misses.border);
    kept_ = kept_ / 2 + static_cast<double>(look.pool.kept - last_.kept);
    rejected_ = rejected_ / 2 + static_cast<double>(look.pool.rejected - last_.rejected);
    pushed_out_ = look.pool.pushed_out > last_.pushed_out;
    if (look.pool.original > 0) {
        ratio_ = std::clamp(static_cast<double>(look.pool.compressed) / static_cast<double>(look.pool.original),
                            1.0 / 64, 1.0);
    }
    last_ = look.pool;
}

MemorySplit::Direction MemorySplit::direction(const Look& look) const FAULTLINE_SIGNAL_SAFE {
    const double kept = share_of(kept_, rejected_);
    if (kept < kLeastKept) return Direction::to_frames;
    // What compressed pages have not used lately does more as frames.
    const std::size_t needed = look.pool.used + look.pool.limit / 8 + kStepBytes;
    if (!pushed_out_ && look.pool.limit >= needed + kStepBytes) return Direction::to_frames;
    if (evidence_ < kLeastEvidence) return Direction::none;
    const auto memory_cost = static_cast<double>(look.memory_cost.count());
    const auto disk_cost = static_cast<double>(look.disk_cost.count());
    const double read_saved = std::max(disk_cost - memory_cost, 0.0);
    const double near_cost = kept * memory_cost + (1 - kept) * disk_cost;
    const double as_frames = near_ * near_cost + kept * border_ * read_saved;
    const double as_compressed = border_ * read_saved / ratio_;
    if (pushed_out_ && as_compressed > kHysteresis * as_frames) return Direction::to_compressed;
    if (as_frames > kHysteresis * as_compressed) return Direction::to_frames;
    return Direction::none;
}

/// Returns how far to move: 1/64 of the memory, and up to four times that while the direction stays.
std::size_t MemorySplit::step(Direction direction, std::size_t memory) FAULTLINE_SIGNAL_SAFE {
    doublings_ = direction == last_direction_ ? std::min(doublings_ + 1, kMostDoublings) : 0;
    last_direction_ = direction;
    return std::max(memory / 64 / kStepBytes * kStepBytes, kStepBytes) << doublings_;
}

MissRanges MemorySplit::next_ranges(std::int64_t frames) const FAULTLINE_SIGNAL_SAFE {
    const auto near = static_cast<std::uint32_t>(std::clamp<std::int64_t>(frames / 8, 1, UINT32_MAX / 4));
    // The pages in compressed memory, among those that left; pages that do not shrink left, too.
    const double kept = std::max(share_of(kept_, rejected_), kLeastKept);
    const double pages = static_cast<double>(last_.original >> core::kUnitShift) / kept;
    const auto border = static_cast<std::uint32_t>(std::min<double>(pages, UINT32_MAX / 2));
    const std::uint32_t half = std::max(near / 2, border / 8);
    return {near, border - std::min(border, half), border + half};
}

}  // namespace faultline::pager
