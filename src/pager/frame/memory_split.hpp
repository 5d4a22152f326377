// MemorySplit: the rule that divides one limit of memory between frames and compressed pages. It decides, from what
// hard faults told (MissRecord) and how well pages shrink, which of the two should have a little more. SplitKeeper
// measures, and moves the limits. Pure arithmetic.
//
// The rule is that of adaptive compressed caching (Wilson, Kaplan, Smaragdakis: "The Case for Compressed Caching in
// Virtual Memory Systems", USENIX 1999), at the margin. Pages lie in the order of their last use: first those with a
// frame, then those in compressed memory, then those on the disk. Giving one page of memory
//
//   to frames       makes hits of the faults at distance 0, and moves the border between memory and disk by one page:
//                     near faults per eviction of distance * (kept * memory cost + (1 - kept) * disk cost)
//                     + kept * border faults per eviction of distance * (disk - memory cost)
//   to compressed   moves the border by as many pages as fit into it:
//                     border faults per eviction of distance / ratio * (disk - memory cost)
//
// where `ratio` is the size of a compressed page as a share of a page, and `kept` the share of evicted pages that
// shrink enough. Memory goes to the side that saves more time, if it saves a seventh more (hysteresis).
#pragma once

#include "core/signal_safe.hpp"
#include "pager/frame/miss_record.hpp"
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
        MissCounts misses;
        MissRanges ranges;  ///< Those that `misses` were counted with.
        std::chrono::nanoseconds memory_cost;
        std::chrono::nanoseconds disk_cost;
        store::CompressedShare pool;  ///< Now.
    };
    /// Returns the limit in bytes that the compressed pages should have. `memory`: for everything. Signal-safe; the
    /// caller serialises.
    [[nodiscard]] std::size_t share_after(const Look& look, std::size_t memory) FAULTLINE_SIGNAL_SAFE;

    /// Returns the ranges in which faults are to be counted until the next look. `frames`: how many there are.
    [[nodiscard]] MissRanges next_ranges(std::int64_t frames) const FAULTLINE_SIGNAL_SAFE;

private:
    static constexpr std::size_t kStepBytes = std::size_t{64} << 10;  // a segment
    enum class Direction : std::int8_t { to_frames = -1, none = 0, to_compressed = 1 };

    static constexpr std::size_t rounded(std::size_t bytes) noexcept {
        return bytes < 2 * kStepBytes ? 2 * kStepBytes : bytes / kStepBytes * kStepBytes;
    }
    [[nodiscard]] Direction direction(const Look& look) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::size_t step(Direction direction, std::size_t memory) FAULTLINE_SIGNAL_SAFE;
    void remember(const Look& look) FAULTLINE_SIGNAL_SAFE;

    // Sums in which each look weighs half of the next one.
    double near_ = 0;  // faults, per eviction of distance
    double border_ = 0;
    double evidence_ = 0;  // faults behind the two
    double kept_ = 0;      // pages
    double rejected_ = 0;
    store::CompressedShare last_{};  // pool at the last look
    bool pushed_out_ = false;        // since then pages left the pool for lack of room
    double ratio_ = 0.5;
    Direction last_direction_ = Direction::none;
    unsigned doublings_ = 0;
};

}  // namespace faultline::pager
