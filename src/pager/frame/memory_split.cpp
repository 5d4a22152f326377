#include "pager/frame/memory_split.hpp"

#include "core/units.hpp"

#include <faultline/pager.hpp>

#include <algorithm>

namespace faultline::pager {
namespace {

// With fewer faults behind them, the counts are chance.
constexpr double kLeastEvidence = 64;
// Another division must save this share of the cost.
constexpr double kLeastGain = 1.0 / 32;
// Divisions that are compared: multiples of so much of the memory.
constexpr std::size_t kDivisions = 32;
// If fewer pages shrink, compression only costs time.
constexpr double kLeastKept = 1.0 / 16;
constexpr unsigned kMostDoublings = 2;
constexpr unsigned kMostPatience = 63;  // looks to wait after a turn
// Memory that compressed pages take, dead ones among them included, for each byte of live ones.
constexpr double kOverhead = 1.25;

double share_of(double part, double rest) noexcept { return part + rest <= 0 ? 1 : part / (part + rest); }

}  // namespace

std::size_t MemorySplit::least_for_frames(std::size_t memory, std::size_t largest_page) noexcept {
    return std::max(memory / 8, 2 * faultline::Pager::kMinimumPages * largest_page);
}

std::size_t MemorySplit::share_after(const Look& look, std::size_t memory) FAULTLINE_SIGNAL_SAFE {
    remember(look);
    const std::size_t now = look.pool.limit;
    if (looks_to_wait_ > 0) {
        --looks_to_wait_;
        return now;
    }
    const Direction wanted = direction(look, memory);
    wait_after(wanted);
    const std::size_t bytes = step(wanted, memory);
    if (wanted == Direction::to_compressed) return now + bytes;
    if (wanted == Direction::none) return now;
    // Takes no more than compressed pages leave unused: else the next ones to be compressed would push others out.
    const std::size_t unused = unused_by(look.pool);
    return std::max(now - std::min(now, unused > 0 ? std::min(bytes, unused) : bytes), least_share(memory));
}

/// Returns how much of their memory compressed pages have not used lately, in whole segments; an eighth stays for those
/// to come.
std::size_t MemorySplit::unused_by(const store::CompressedShare& pool) const FAULTLINE_SIGNAL_SAFE {
    const std::size_t needed = pool.used + pool.limit / 8 + kStepBytes;
    return pushed_out_ || pool.limit < needed ? 0 : (pool.limit - needed) / kStepBytes * kStepBytes;
}

void MemorySplit::remember(const Look& look) FAULTLINE_SIGNAL_SAFE {
    misses_.add(look.misses, static_cast<double>(look.frames));
    kept_ = kept_ / 2 + static_cast<double>(look.pool.kept - last_.kept);
    rejected_ = rejected_ / 2 + static_cast<double>(look.pool.rejected - last_.rejected);
    pushed_out_ = look.pool.pushed_out > last_.pushed_out;
    if (look.pool.original > 0) {
        ratio_ =
            std::clamp(kOverhead * static_cast<double>(look.pool.compressed) / static_cast<double>(look.pool.original),
                       1.0 / 64, 1.0);
    }
    last_ = look.pool;
}

MemorySplit::Direction MemorySplit::direction(const Look& look, std::size_t memory) const FAULTLINE_SIGNAL_SAFE {
    if (share_of(kept_, rejected_) < kLeastKept) return Direction::to_frames;
    if (unused_by(look.pool) > 0) return Direction::to_frames;  // it does more there
    if (misses_.all() < kLeastEvidence) return Direction::none;
    const std::size_t now = look.pool.limit;
    const double cost_now = cost(look, now);
    double least = cost_now * (1 - kLeastGain);
    std::size_t best = now;
    // The smallest of equally good shares: it leaves the most frames.
    for (std::size_t i = 0; i <= kDivisions; ++i) {
        const std::size_t share = std::max(memory / kDivisions * i, least_share(memory));
        const double cost_then = cost(look, share);
        if (cost_then >= least) continue;
        least = cost_then;
        best = share;
    }
    if (best == now) return Direction::none;
    return best > now ? Direction::to_compressed : Direction::to_frames;
}

/// Returns the time that the remembered faults would have cost with `share` bytes for compressed pages.
double MemorySplit::cost(const Look& look, std::size_t share) const FAULTLINE_SIGNAL_SAFE {
    constexpr auto kPage = static_cast<double>(core::kUnitBytes);
    const double kept = std::max(share_of(kept_, rejected_), kLeastKept);
    const auto frames_now = static_cast<double>(look.frames);
    const double more = (static_cast<double>(look.pool.limit) - static_cast<double>(share)) / kPage;
    const double frames = std::max(frames_now + more, 0.0);
    const double border = frames + static_cast<double>(share) / (kPage * ratio_ * kept);

    // Faults that only fewer frames would cause.
    const double fewer = std::max(frames_now - frames, 0.0);
    const double near = frames_now / 8 + 1;
    const double density = misses_.between(frames_now, frames_now + near) / near;
    const double caused = std::max(density * fewer, misses_.between(frames, frames_now));
    const double caused_in_memory = fewer <= 0 ? 0 : caused * std::min(1.0, (border - frames) / fewer);

    const double first = std::max(frames, frames_now);
    const double in_memory = misses_.between(first, border) + caused_in_memory;
    const double on_disk = misses_.from(std::max(first, border)) + caused - caused_in_memory;
    const auto memory_cost = static_cast<double>(look.memory_cost.count());
    const auto disk_cost = static_cast<double>(look.disk_cost.count());
    return in_memory * (kept * memory_cost + (1 - kept) * disk_cost) + on_disk * disk_cost;
}

/// A turn is a move against the direction of the last one. Each turn doubles the wait for the next move, because near
/// the best division moves cost evictions and gain nothing. Each further move in one direction halves the wait.
void MemorySplit::wait_after(Direction wanted) FAULTLINE_SIGNAL_SAFE {
    if (wanted == Direction::none) return;
    const bool turns = last_move_ != Direction::none && wanted != last_move_;
    patience_ = turns ? std::min(2 * patience_ + 1, kMostPatience) : patience_ / 2;
    looks_to_wait_ = turns ? patience_ : 0;
    last_move_ = wanted;
}

/// Returns how far to move: 1/64 of the memory, and up to four times that while the direction stays.
std::size_t MemorySplit::step(Direction direction, std::size_t memory) FAULTLINE_SIGNAL_SAFE {
    doublings_ = direction == last_direction_ ? std::min(doublings_ + 1, kMostDoublings) : 0;
    last_direction_ = direction;
    return std::max(memory / 64 / kStepBytes * kStepBytes, kStepBytes) << doublings_;
}

}  // namespace faultline::pager
