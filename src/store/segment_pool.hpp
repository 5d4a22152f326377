// SegmentPool: memory of a limited size for entries of any length. Entries are freed one by one and evicted together.
// The memory is divided into segments of 64 KiB, filled one after the other. A segment is free as soon as all its
// entries are dead. The caller knows which entries of the oldest segment are live, and where to write them. The memory
// of free segments goes back to the kernel, except for a few warm segments, which count as used.
//
//   unused -> open -> sealed -> taken -> unused
//                       |  ^______|  (entries are left that could not be moved)
//                       |-> unused   (the last entry died)
//
// Invariants:
//   live       is the sum of the bytes of a segment's entries that are not dead, including those being filled.
//              So no thread fills a segment with live == 0.
//   readers    (pins) keep a segment's bytes: it is not reused before they have left
//   (segments that are not unused) + (warm segments) <= limit, in segments. Exceptions: after the limit was lowered;
//              and one more while entries are moved
#pragma once

#include "core/check.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "store/slot_word.hpp"
#include "sys/futex_lock.hpp"
#include "sys/lazy_array.hpp"
#include "sys/mapping.hpp"
#include "sys/occupancy.hpp"

#include <boost/intrusive/list.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace faultline::store {

struct Segment : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> {
    enum class State : std::uint8_t { unused, open, sealed, taken };

    std::atomic<std::uint32_t> live_bytes{0};  // grows under the pool's lock, shrinks without
    sys::Occupancy writers;                    // threads that fill entries
    sys::Occupancy readers;
    std::uint32_t index = 0;
    // The members below are guarded by the pool's lock.
    std::uint32_t used_bytes = 0;
    State state = State::unused;
    bool accessible = false;
};

/// Signal-safe, except construction. Callers outside a fault keep all signals blocked.
class SegmentPool {
public:
    static constexpr std::size_t kSegmentBytes = std::size_t{64} << 10;
    static_assert(kSegmentBytes <= SlotWord::kMostSegmentBytes);

    /// Returns the size in the segment of an entry of `bytes`.
    static constexpr std::uint32_t rounded(std::size_t bytes) noexcept {
        return static_cast<std::uint32_t>(core::align_up(bytes, SlotWord::kEntryAlignment));
    }

    /// Reserves addresses for `capacity` bytes; uses at most `limit` of them. Throws std::system_error.
    SegmentPool(std::size_t capacity, std::size_t limit);
    SegmentPool(const SegmentPool&) = delete;
    SegmentPool& operator=(const SegmentPool&) = delete;

    /// Sets the limit in bytes, rounded down to segments, at most the capacity. Memory beyond a lowered limit stays
    /// used until the owner spills it.
    void set_limit(std::size_t bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::size_t limit() const noexcept { return limit_.load() * kSegmentBytes; }
    /// Returns the bytes of the segments that hold entries.
    [[nodiscard]] std::size_t used() const noexcept { return used_.load() * kSegmentBytes; }
    /// Returns the bytes of the entries that are not dead.
    [[nodiscard]] std::size_t live() const noexcept { return live_.load(std::memory_order_relaxed); }
    /// Returns the bytes of all segments that have memory: those that hold entries, and warm ones.
    [[nodiscard]] std::size_t held() const FAULTLINE_SIGNAL_SAFE;
    /// Returns the most bytes that `set_limit` can set.
    [[nodiscard]] std::size_t capacity() const noexcept { return segments_ * kSegmentBytes; }

    /// Room for a new entry. Its segment cannot be taken while the Room lives. Converts to false if there is no room.
    class Room {
    public:
        Room() noexcept = default;
        Room(Segment& segment, EntryAddress entry, std::byte* bytes) noexcept
            : segment_{&segment}, entry_{entry}, bytes_{bytes} {}
        Room(Room&& other) noexcept
            : segment_{std::exchange(other.segment_, nullptr)}, entry_{other.entry_}, bytes_{other.bytes_} {}
        Room& operator=(Room&& other) noexcept {
            std::swap(segment_, other.segment_);
            std::swap(entry_, other.entry_);
            std::swap(bytes_, other.bytes_);
            return *this;
        }
        ~Room() {
            if (segment_ != nullptr) segment_->writers.leave();
        }

        explicit operator bool() const noexcept { return segment_ != nullptr; }
        [[nodiscard]] EntryAddress entry() const noexcept { return entry_; }
        [[nodiscard]] std::byte* bytes() const noexcept { return bytes_; }

    private:
        Segment* segment_ = nullptr;
        EntryAddress entry_;
        std::byte* bytes_ = nullptr;
    };
    /// The purpose of a reservation decides which limit applies.
    enum class Purpose : std::uint8_t {
        new_entry,
        moving,  ///< Frees a segment soon: may use one segment more than the limit.
    };
    [[nodiscard]] Room reserve(std::size_t bytes, Purpose purpose = Purpose::new_entry) FAULTLINE_SIGNAL_SAFE;

    /// Marks the entry of `bytes` at `entry` dead. No thread can find it any more; threads that found it earlier have
    /// pinned it.
    void kill(EntryAddress entry, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

    /// Keeps the bytes of an entry's segment unchanged, if the slot's word still names the entry after the pin is set.
    class Pin {
    public:
        Pin(const SegmentPool& pool, EntryAddress entry) FAULTLINE_SIGNAL_SAFE : segment_{pool.at(entry.segment)} {
            segment_.readers.enter();
        }
        ~Pin() { segment_.readers.leave(); }
        Pin(const Pin&) = delete;
        Pin& operator=(const Pin&) = delete;

    private:
        Segment& segment_;
    };

    /// Takes the segment that was sealed first, or the open one if there is no sealed one. The caller owns it; all its
    /// entries are complete. Null: there is none, or other threads have taken it.
    [[nodiscard]] Segment* take_oldest() FAULTLINE_SIGNAL_SAFE;
    /// Takes, of the oldest few segments, the one with the fewest bytes of live entries, if these are at most `live`.
    /// Null: there is none.
    [[nodiscard]] Segment* take_sparse(std::size_t live) FAULTLINE_SIGNAL_SAFE;
    /// Returns a taken segment. Returns true if all its entries are dead: then it is free. Else it is the youngest now.
    bool give_back(Segment& segment) FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] std::byte* address_of(EntryAddress entry) const noexcept {
        return memory_.data() + entry.segment * kSegmentBytes + entry.offset;
    }
    /// Returns the memory of all segments, for tests.
    [[nodiscard]] std::span<std::byte> memory() const noexcept { return memory_.bytes(); }

private:
    using List = boost::intrusive::list<Segment, boost::intrusive::constant_time_size<false>>;

    // How many segments are examined for a sparse one while the lock is held.
    static constexpr int kMostExamined = 32;
    // Free segments whose memory is kept: page faults on fresh memory would cost a third of the compression.
    static constexpr std::size_t kMostWarm = 16;

    [[nodiscard]] Segment& at(std::uint32_t index) const noexcept;
    // Call with the lock held.
    [[nodiscard]] Room room_in_open(std::uint32_t bytes);
    [[nodiscard]] Segment* seal_open();
    [[nodiscard]] Segment* claim_unused(Purpose purpose);
    Segment* take(Segment& segment);
    void open(Segment& segment);
    // Call without the lock.
    [[nodiscard]] bool make_accessible(Segment& segment) const FAULTLINE_SIGNAL_SAFE;
    void release(Segment& segment) FAULTLINE_SIGNAL_SAFE;
    void make_cold(Segment& segment) FAULTLINE_SIGNAL_SAFE;

    sys::Mapping memory_;
    std::size_t segments_;
    sys::LazyArray<std::byte> records_;  // of Segment; each is constructed when first needed
    std::atomic<std::size_t> limit_{0};  // in segments
    std::atomic<std::size_t> live_{0};   // in bytes: the sum of the segments' live_bytes

    mutable sys::FutexLock lock_;  // guards all members below
    std::size_t constructed_ = 0;
    std::atomic<std::size_t> used_{0};  // in segments; changed under the lock, read without
    std::size_t warm_segments_ = 0;
    Segment* open_ = nullptr;
    List sealed_;  // oldest first
    List warm_;
    List cold_;
};

}  // namespace faultline::store
