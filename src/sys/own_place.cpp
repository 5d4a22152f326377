#include "sys/own_place.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "sys/futex_lock.hpp"
#include "sys/signal_block.hpp"
#include "sys/syscall.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <mutex>
#include <new>
#include <optional>
#include <span>

namespace faultline::sys {
namespace {

constexpr int kClosedMemory = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
constexpr int kUnlessMapped = 0x100000;
constexpr std::size_t kBitsPerWord = 64;
constexpr std::size_t kMostPlaces = 64;
constexpr std::size_t kLeastPlace = std::size_t{1} << 20;

/// Maps closed memory. Returns false if the kernel refuses.
bool close_memory(std::uintptr_t address, std::size_t bytes, int flags) FAULTLINE_SIGNAL_SAFE {
    return raw_syscall(SYS_mmap, address, bytes, PROT_NONE, kClosedMemory | flags, -1, 0) == static_cast<long>(address);
}

/// One bit for each 4 KiB of a place.
class Bits {
public:
    Bits() noexcept = default;
    explicit Bits(std::span<std::uint64_t> words) noexcept : words_{words} {}

    void set(std::size_t first, std::size_t count, bool value) noexcept {
        for (std::size_t i = first; i < first + count; ++i) {
            const std::uint64_t bit = std::uint64_t{1} << i % kBitsPerWord;
            std::uint64_t& word = words_[i / kBitsPerWord];
            word = value ? word | bit : word & ~bit;
        }
    }

    /// Returns the first bit at or after `first` with this value, at most `end`.
    [[nodiscard]] std::size_t find(std::size_t first, std::size_t end, bool value) const noexcept {
        while (first < end) {
            const std::uint64_t word = value ? words_[first / kBitsPerWord] : ~words_[first / kBitsPerWord];
            const std::uint64_t rest = word >> first % kBitsPerWord;
            if (rest != 0) return std::min(first + static_cast<std::size_t>(std::countr_zero(rest)), end);
            first = (first / kBitsPerWord + 1) * kBitsPerWord;
        }
        return end;
    }

private:
    std::span<std::uint64_t> words_;
};

/// The records of a place, which lie in its first pages.
class Place {
public:
    /// Reserves a place. Returns null if the kernel refuses.
    static Place* reserve(std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
        const std::size_t units = bytes / core::kUnitBytes;
        const std::size_t words = (units + kBitsPerWord - 1) / kBitsPerWord;
        const std::size_t own_bytes =
            core::align_up(sizeof(Place) + 2 * words * sizeof(std::uint64_t), core::kUnitBytes);
        const long begin = raw_syscall(SYS_mmap, 0, bytes, PROT_NONE, kClosedMemory, -1, 0);
        if (error_of(begin) != 0) return nullptr;
        if (raw_syscall(SYS_mprotect, begin, own_bytes, PROT_READ | PROT_WRITE) != 0) {
            raw_syscall(SYS_munmap, begin, bytes);
            return nullptr;
        }
        auto* const first_word = reinterpret_cast<std::uint64_t*>(begin + static_cast<long>(sizeof(Place)));
        auto* const made = new (reinterpret_cast<void*>(begin)) Place;
        made->begin_ = static_cast<std::uintptr_t>(begin);
        made->units_ = units;
        made->used_ = Bits{{first_word, words}};
        made->free_in_child_ = Bits{{first_word + words, words}};
        made->used_.set(0, own_bytes / core::kUnitBytes, true);
        return made;
    }

    [[nodiscard]] core::AddressRange range() const noexcept { return {begin_, begin_ + (units_ << core::kUnitShift)}; }

    [[nodiscard]] std::byte* take(std::size_t units, std::size_t alignment, OwnPlace::InChild in_child) noexcept {
        std::size_t first = aligned(0, alignment);
        while (first + units <= units_) {
            const std::size_t used = used_.find(first, first + units, true);
            if (used == first + units) {
                used_.set(first, units, true);
                free_in_child_.set(first, units, in_child == OwnPlace::InChild::free);
                return reinterpret_cast<std::byte*>(begin_ + (first << core::kUnitShift));
            }
            first = aligned(used_.find(used, units_, false), alignment);
        }
        return nullptr;
    }

    void give_back(core::AddressRange range) noexcept { used_.set(unit_of(range.begin), units_in(range), false); }

    /// What has no owner in the child of a fork is closed: the kernel may have left it out (MADV_DONTFORK).
    void start_in_child() noexcept {
        for (std::size_t first = free_in_child_.find(0, units_, true); first < units_;) {
            const std::size_t end = free_in_child_.find(first, units_, false);
            const std::uintptr_t begin = begin_ + (first << core::kUnitShift);
            if (close_memory(begin, (end - first) << core::kUnitShift, MAP_FIXED)) {
                used_.set(first, end - first, false);
            }
            free_in_child_.set(first, end - first, false);
            first = free_in_child_.find(end, units_, true);
        }
    }

private:
    [[nodiscard]] std::size_t aligned(std::size_t unit, std::size_t alignment) const noexcept {
        const std::uintptr_t address = begin_ + (unit << core::kUnitShift);
        return (core::align_up(address, alignment) - begin_) >> core::kUnitShift;
    }
    [[nodiscard]] std::size_t unit_of(std::uintptr_t address) const noexcept {
        return (address - begin_) >> core::kUnitShift;
    }
    [[nodiscard]] static std::size_t units_in(core::AddressRange range) noexcept {
        return core::align_up(range.bytes(), core::kUnitBytes) >> core::kUnitShift;
    }

    std::uintptr_t begin_ = 0;
    std::size_t units_ = 0;
    Bits used_;
    Bits free_in_child_;  // of those: see OwnPlace::InChild
};

constinit FutexLock changing_places;  // guards what the places contain; held with all signals blocked, also at a fork
constinit std::array<std::atomic<Place*>, kMostPlaces> all_places{};
constinit std::atomic<std::size_t> place_count{0};
constinit std::size_t place_bytes = 0;

void add(Place* place) noexcept {
    const std::size_t count = place_count.load(std::memory_order_relaxed);
    all_places[count].store(place, std::memory_order_relaxed);
    place_count.store(count + 1, std::memory_order_release);
}

/// Returns the place that contains the range, if any.
Place* place_of(core::AddressRange range) FAULTLINE_SIGNAL_SAFE {
    for (std::size_t i = 0; i < place_count.load(std::memory_order_acquire); ++i) {
        Place* const place = all_places[i].load(std::memory_order_relaxed);
        if (place->range().contains(range)) return place;
    }
    return nullptr;
}

std::byte* take_from_any(std::size_t bytes, std::size_t alignment, OwnPlace::InChild in_child) noexcept {
    const std::size_t units = bytes >> core::kUnitShift;
    const std::size_t count = place_count.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < count; ++i) {
        if (std::byte* const found = all_places[i].load(std::memory_order_relaxed)->take(units, alignment, in_child)) {
            return found;
        }
    }
    if (count == kMostPlaces || bytes + alignment > place_bytes / 2) return nullptr;
    Place* const more = Place::reserve(place_bytes);
    if (more == nullptr) return nullptr;
    add(more);
    return more->take(units, alignment, in_child);
}

/// `flags`: how to close the range. Returns false if it does not lie in a place.
bool give_back_with(int flags, const void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    const std::uintptr_t begin = core::address_of(address);
    const core::AddressRange range{begin, begin + core::align_up(bytes, core::kUnitBytes)};
    Place* const place = place_of(range);
    if (place == nullptr || range.empty()) return false;
    const SignalBlock signals;
    const std::lock_guard lock{changing_places};
    if (close_memory(range.begin, range.bytes(), flags)) {
        place->give_back(range);
    } else if ((flags & kUnlessMapped) == 0) {
        // The process is at its limit of mappings. The memory is returned, and the addresses stay in use.
        raw_syscall(SYS_madvise, range.begin, range.bytes(), MADV_DONTNEED);
    }
    return true;
}

}  // namespace

void OwnPlace::open(std::size_t bytes) noexcept {
    for (; bytes >= kLeastPlace && place_count.load() == 0; bytes = core::align_down(bytes / 2, core::kUnitBytes)) {
        place_bytes = bytes;
        if (Place* const place = Place::reserve(bytes)) add(place);
    }
}

std::byte* OwnPlace::take(std::size_t bytes, std::size_t alignment, InChild in_child) FAULTLINE_SIGNAL_SAFE {
    if (place_count.load(std::memory_order_acquire) == 0 || bytes == 0) return nullptr;
    const SignalBlock signals;
    const std::lock_guard lock{changing_places};
    return take_from_any(bytes, alignment, in_child);
}

bool OwnPlace::give_back(const void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return give_back_with(MAP_FIXED, address, bytes);
}

bool OwnPlace::give_back_hole(const void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return give_back_with(kUnlessMapped, address, bytes);
}

bool OwnPlace::overlaps(core::AddressRange range) FAULTLINE_SIGNAL_SAFE {
    for (std::size_t i = 0; i < place_count.load(std::memory_order_acquire); ++i) {
        if (all_places[i].load(std::memory_order_relaxed)->range().overlaps(range)) return true;
    }
    return false;
}

void OwnPlace::before_fork() noexcept { changing_places.lock(); }

void OwnPlace::after_fork_in_parent() noexcept { changing_places.unlock(); }

void OwnPlace::after_fork_in_child() noexcept {
    for (std::size_t i = 0; i < place_count.load(); ++i) all_places[i].load()->start_in_child();
    changing_places.unlock();
}

}  // namespace faultline::sys
