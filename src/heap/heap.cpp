#include "heap/heap.hpp"

#include "heap/no_fork_section.hpp"
#include "sys/error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

namespace faultline::heap {

namespace {

constexpr std::size_t kLeastReservation = std::size_t{1} << 20;
constexpr std::size_t kMostReservation = std::size_t{8} << 40;
constexpr std::size_t kLeastThreshold = core::kUnitBytes;

const HeapConfig& checked(const HeapConfig& config) {
    if (config.reservation < kLeastReservation || config.reservation > kMostReservation) {
        sys::throw_error(EINVAL, "invalid heap: HeapConfig::reservation of " + sys::readable_bytes(config.reservation) +
                                     " is out of range: 1 MiB to 8 TiB");
    }
    if (config.large_threshold < kLeastThreshold || config.large_threshold > kMostClassBytes) {
        sys::throw_error(EINVAL, "invalid heap: HeapConfig::large_threshold of " +
                                     sys::readable_bytes(config.large_threshold) + " is out of range: 4 KiB to 1 MiB");
    }
    return config;
}

std::uint64_t max_dead_bytes(const HeapConfig& config, std::size_t limit) noexcept {
    if (config.dead_bytes_kept != HeapConfig::kAutomatic) return config.dead_bytes_kept;
    return std::min<std::uint64_t>(limit / 8, std::uint64_t{64} << 20);
}

}  // namespace

Heap::Heap(std::shared_ptr<pager::Pager> pager, const HeapConfig& config)
    : pager_{std::move(pager)},
      pages_{*pager_, checked(config).reservation},
      max_small_bytes_{config.large_threshold},
      max_cached_bytes_{std::min(config.large_threshold, kMostCachedBytes)},
      central_{pages_},
      discarder_{*pager_, pages_},
      sweeper_{pages_, central_, discarder_, max_dead_bytes(config, pager_->resident_limit())},
      small_{pages_, central_, sweeper_, pager_->resident_limit() / 64},
      large_{*pager_, pages_, discarder_, sweeper_},
      resource_{*this} {}

// ---- allocating

void* Heap::allocate_uncached(std::size_t bytes, std::size_t alignment, Zeroed zeroed) noexcept {
    if (bytes > max_small_bytes_) return allocate_large(bytes, alignment, zeroed);
    return small_.allocate_uncached(class_of(bytes), zeroed);
}

void* Heap::allocate_aligned(std::size_t bytes, std::size_t alignment) noexcept {
    if (bytes > max_small_bytes_ || alignment > core::kUnitBytes) return allocate_large(bytes, alignment, Zeroed::no);
    const std::size_t size_class = class_of_aligned(bytes, alignment);
    if (size_class == kSizeClasses) return allocate_large(bytes, alignment, Zeroed::no);
    const std::size_t block_bytes = shape(static_cast<SizeClass>(size_class)).block_bytes;
    return block_bytes <= max_cached_bytes_ ? try_allocate(block_bytes)
                                            : small_.allocate_uncached(static_cast<SizeClass>(size_class), Zeroed::no);
}

void* Heap::allocate_large(std::size_t bytes, std::size_t alignment, Zeroed zeroed) noexcept {
    if (bytes > pages_.bytes()) return nullptr;
    const NoForkSection section;
    if (void* const block = large_.allocate(bytes, alignment, zeroed)) return block;
    small_.make_all_free_blocks_available();
    return large_.allocate(bytes, alignment, zeroed);
}

void* Heap::try_allocate_zeroed(std::size_t bytes) noexcept {
    // A smaller block shares its pages with others, so zeroing it touches no page in vain.
    if (bytes >= core::kUnitBytes) return allocate_uncached(bytes, 1, Zeroed::yes);
    void* const block = try_allocate(bytes);
    if (block != nullptr) std::memset(block, 0, bytes);
    return block;
}

void* Heap::try_reallocate(void* block, std::size_t bytes) noexcept {
    if (block == nullptr) return try_allocate(bytes);
    const Span& span = live_span(pages_, block);
    if (span.kind == SpanKind::large && bytes > max_small_bytes_) {
        const NoForkSection section;
        return large_.reallocate(pages_.span_at(pages_.offset_of(block)), bytes);
    }
    const std::size_t had = span.usable_bytes();
    if (bytes <= had && bytes >= had / 2) return block;
    void* const moved = try_allocate(bytes);
    if (moved == nullptr) return bytes <= had ? block : nullptr;
    std::memcpy(moved, block, std::min(bytes, had));
    deallocate(block);
    return moved;
}

// ---- freeing

void Heap::deallocate_uncached(Span& span, std::uint64_t index, void* block) noexcept {
    const NoForkSection section;
    // If two threads free the block at once, the exchange lets one of them see the double free.
    if (span.marks[index].exchange(kNotLive) != kLive) abort_not_live(pages_, block);
    if (span.kind == SpanKind::large) return large_.deallocate(span);
    const FreeBlock freed{static_cast<std::byte*>(block), &span.marks[index]};
    small_.put_back(span.size_class, {&freed, 1});
}

std::size_t Heap::trim() noexcept {
    const NoForkSection section;
    small_.release_unused();
    return sweeper_.sweep_all();
}

}  // namespace faultline::heap
