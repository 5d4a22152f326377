// MemorySplit: the rule that divides one limit of memory between frames and compressed pages. It decides, from where
// the pages of hard faults were in the order of use (MissRecord) and from how well pages shrink, what the division
// should be. SplitKeeper measures, and moves the limits. Pure arithmetic.
//
// The rule is that of adaptive compressed caching (Wilson, Kaplan, Smaragdakis: "The Case for Compressed Caching in
// Virtual Memory Systems", USENIX 1999). Pages lie in the order of their last use: first those with a frame, then those
// in compressed memory, then those on the disk. For each division the cost of the last faults is known:
//
//   frames              = (memory - compressed) / page
//   reach of compressed = compressed / (page * ratio * kept)
//   cost                = faults at [frames, frames + reach) * (kept * memory cost + (1 - kept) * disk cost)
//                         + faults beyond * disk cost
//
// where `ratio` is the size of a compressed page as a share of a page, and `kept` the share of evicted pages that
// shrink enough. What fewer frames would cost is known only for positions that had no frame lately; elsewhere it counts
// as dense as just beyond the frames. The division moves towards the cheapest one in small steps, and is judged anew
// after each. Comparing only with the next larger and smaller one would not do: a program that goes through its pages
// in turn gains nothing from more memory until all of it fits.
#pragma once

#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "pager/frame/miss_histogram.hpp"
#include "store/backing_store.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {

class MemorySplit {
public:
    /// Below this, all memory is for frames: what compression needs to work would take a large part of it.
    static constexpr std::size_t kLeastMemory = std::size_t{4} << 20;
    /// Memory that is not divided: a segment that entries are moved to, beyond the limit of the compressed memory; and
    /// pages of records that threads touch before they evict a page for them.
    static constexpr std::size_t kSetAside = std::size_t{128} << 10;

    /// Returns the bytes for compressed pages that a pager begins with. `memory`: for everything.
    [[nodiscard]] static constexpr std::size_t first_share(std::size_t memory) noexcept {
        return memory < kLeastMemory ? 0 : rounded(memory / 32);
    }
    /// Returns the least bytes for compressed pages. A few show how well pages shrink.
    [[nodiscard]] static constexpr std::size_t least_share(std::size_t memory) noexcept {
        return memory < kLeastMemory ? 0 : 2 * kStepBytes;
    }
    /// Returns the bytes of `memory` that the frames and compressed pages divide.
    [[nodiscard]] static constexpr std::size_t divided(std::size_t memory) noexcept {
        return memory - (memory < kLeastMemory ? memory / 32 : kSetAside);
    }
    /// Returns the least bytes for frames and records, if a page of `largest_page` bytes is in use.
    [[nodiscard]] static std::size_t least_for_frames(std::size_t memory, std::size_t largest_page) noexcept;
    /// Returns the number of hard faults after which the split should be judged again.
    [[nodiscard]] static constexpr std::uint64_t faults_per_look(std::size_t memory) noexcept {
        const std::size_t pages = memory >> core::kUnitShift;
        return pages / 64 < 128 ? 128 : pages / 64;
    }

    /// What was found since the last look.
    struct Look {
        MissFigures misses{};
        std::size_t frames = 0;  ///< In use now, in units of 4 KiB.
        std::chrono::nanoseconds memory_cost;
        std::chrono::nanoseconds disk_cost;
        store::CompressedShare pool;  ///< Now.
    };
    /// Returns the limit in bytes that the compressed pages should have. `memory`: for everything. Signal-safe; the
    /// caller serialises.
    [[nodiscard]] std::size_t share_after(const Look& look, std::size_t memory) FAULTLINE_SIGNAL_SAFE;

private:
    static constexpr std::size_t kStepBytes = std::size_t{64} << 10;  // a segment
    enum class Direction : std::int8_t { to_frames = -1, none = 0, to_compressed = 1 };

    static constexpr std::size_t rounded(std::size_t bytes) noexcept {
        return bytes < 2 * kStepBytes ? 2 * kStepBytes : bytes / kStepBytes * kStepBytes;
    }
    [[nodiscard]] Direction direction(const Look& look, std::size_t memory) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::size_t unused_by(const store::CompressedShare& pool) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] double cost(const Look& look, std::size_t share) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::size_t step(Direction direction, std::size_t memory) FAULTLINE_SIGNAL_SAFE;
    void wait_after(Direction wanted) FAULTLINE_SIGNAL_SAFE;
    void remember(const Look& look) FAULTLINE_SIGNAL_SAFE;

    MissHistogram misses_;
    double kept_ = 0;  // pages; each look weighs half of the next one
    double rejected_ = 0;
    store::CompressedShare last_{};  // pool at the last look
    bool pushed_out_ = false;        // since then pages left the pool for lack of room
    double ratio_ = 0.5;
    Direction last_direction_ = Direction::none;
    unsigned doublings_ = 0;
    Direction last_move_ = Direction::none;  // the latest direction other than none
    unsigned patience_ = 0;                  // the wait in looks; each turn doubles it
    unsigned looks_to_wait_ = 0;
};

}  // namespace faultline::pager
