// The status file: memory that `faultline run` makes and that all programs under it map. Each program writes its
// ProgramStatus to a slot of its own. This is the file's layout and protocol; StatusWriter and StatusFile are its two
// ends.
//
// Each slot belongs to its `owner`: a process number together with the number of its claim. No two claims have the same
// number. So a process that has called exec, or has got the number of an ended process, does not continue another's
// records. One compare-exchange claims a slot: a free one, otherwise one whose owner has ended. The counters of that
// owner are then added to those of `earlier` programs.
//
// An owner writes its n-th status to records[n % 2] and then stores n to `published`. A reader has a whole record if
// neither `owner` nor `published` has changed meanwhile and the record names the owner's claim. A writer that is killed
// halfway leaves its previous record whole. Words of records are stored with release and loaded with acquire order. So
// a reader that sees a word of record n + 2 also sees `published` at n + 1 or more. A reader that sees a word of
// another owner also sees the change of owner.
#pragma once

#include "run/program_status.hpp"
#include "run/tree_memory.hpp"
#include "run/unmanaged_program.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace faultline::run {

static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "other processes know nothing of a lock");

/// A value that several threads may write and read word by word. Only the protocol above tells whether it is whole.
template <typename Value>
class SharedWords {
public:
    static constexpr std::size_t kWords = sizeof(Value) / sizeof(std::uint64_t);
    static_assert(std::is_trivially_copyable_v<Value> && sizeof(Value) % sizeof(std::uint64_t) == 0);

    void store(const Value& value) noexcept {
        const auto words = std::bit_cast<std::array<std::uint64_t, kWords>>(value);
        for (std::size_t i = 0; i < kWords; ++i) words_[i].store(words[i], std::memory_order_release);
    }
    [[nodiscard]] Value load() const noexcept {
        std::array<std::uint64_t, kWords> words;
        for (std::size_t i = 0; i < kWords; ++i) words[i] = words_[i].load(std::memory_order_acquire);
        return std::bit_cast<Value>(words);
    }
    /// Adds word by word. Each word is added atomically, the whole is not.
    void add(const Value& value) noexcept {
        const auto words = std::bit_cast<std::array<std::uint64_t, kWords>>(value);
        for (std::size_t i = 0; i < kWords; ++i) words_[i].fetch_add(words[i], std::memory_order_relaxed);
    }

private:
    std::array<std::atomic<std::uint64_t>, kWords> words_;
};

struct StatusSlot {
    static constexpr std::uint64_t kFree = 0;

    std::atomic<std::uint64_t> owner;      ///< kFree, or `owner_word`.
    std::atomic<std::uint64_t> gone;       ///< The previous owner, once another program has taken its place (after
                                           ///< exec, for example).
    std::atomic<std::uint64_t> published;  ///< Number of records so far.
    std::array<SharedWords<ProgramStatus>, 2> records;

    [[nodiscard]] static std::uint64_t owner_word(std::uint64_t pid, std::uint64_t claim) noexcept {
        return pid << 32 | (claim & 0xffff'ffff);
    }
    [[nodiscard]] static std::uint64_t pid_of(std::uint64_t owner) noexcept { return owner >> 32; }
    [[nodiscard]] static std::uint64_t claim_of(std::uint64_t owner) noexcept { return owner & 0xffff'ffff; }
};

/// Programs that have no slot any more.
struct EarlierPrograms {
    std::uint64_t programs = 0;
    ProgramCounters counters;
};

inline constexpr std::uint64_t kStatusMagic = 0x3153'5554'4154'4c46;  // "FLTATUS1", the first byte last
inline constexpr std::uint64_t kStatusVersion = 4;
inline constexpr std::size_t kStatusSlots = 256;

/// Programs of one name that were started without the preloaded library. The writer that takes the index owns and fills
/// the entry; `starts` is not 0 once the rest is filled in.
struct UnmanagedEntry {
    SharedWords<UnmanagedProgram> program;
    std::atomic<std::uint64_t> starts;
};
inline constexpr std::size_t kUnmanagedEntries = 32;

/// The whole file. If everything after the first four words is 0, no program has written to it.
struct StatusMemory {
    std::uint64_t magic;
    std::uint64_t version;
    std::uint64_t bytes;                 ///< Size of this struct.
    std::uint64_t wants_figures;         ///< 0: programs only add to `claims` and `unmanaged`, and take no slot.
    std::atomic<std::uint64_t> claims;   ///< Number of claims so far.
    std::atomic<std::uint64_t> unheard;  ///< Programs that found no free slot.
    std::atomic<std::uint64_t> unmanaged_taken;  ///< Entries requested so far, including those that found no room.
    std::array<UnmanagedEntry, kUnmanagedEntries> unmanaged;
    SharedWords<EarlierPrograms> earlier;
    TreeMemory<kStatusSlots> tree;
    std::array<StatusSlot, kStatusSlots> slots;
};

/// Returns the slots that may ever have had an owner. A program looks for a free slot from the number of its claim on,
/// so the other slots are unused until the claims have gone round. Touching those would give them memory.
[[nodiscard]] inline std::span<StatusSlot> used_slots(StatusMemory& memory) noexcept {
    const std::uint64_t claims = memory.claims.load(std::memory_order_acquire);
    return std::span{memory.slots}.first(static_cast<std::size_t>(std::min<std::uint64_t>(claims + 1, kStatusSlots)));
}
[[nodiscard]] inline std::span<const StatusSlot> used_slots(const StatusMemory& memory) noexcept {
    return used_slots(const_cast<StatusMemory&>(memory));  // NOLINT: gives no more than it was given
}

/// Counts a program that is started without the preloaded library. Signal-safe; any thread of any process may call it.
void note_unmanaged(StatusMemory& memory, const UnmanagedProgram& program) noexcept;

struct SlotReading {
    std::uint64_t owner = StatusSlot::kFree;
    bool whole = false;  ///< False: no record exists, or it changed during the read.
    ProgramStatus status;
};

/// Tries once to read a slot. Signal-safe.
[[nodiscard]] inline SlotReading read_slot(const StatusSlot& slot) noexcept {
    SlotReading reading;
    reading.owner = slot.owner.load(std::memory_order_acquire);
    const std::uint64_t published = slot.published.load(std::memory_order_acquire);
    if (reading.owner == StatusSlot::kFree || published == 0) return reading;
    reading.status = slot.records[published % 2].load();
    reading.whole = slot.published.load(std::memory_order_acquire) == published &&
                    slot.owner.load(std::memory_order_acquire) == reading.owner &&
                    reading.status.claim == StatusSlot::claim_of(reading.owner);
    return reading;
}

/// Returns true if the owner will write no more: its process has ended or runs another program. Signal-safe.
[[nodiscard]] inline bool has_ended(const StatusSlot& slot, const SlotReading& reading) noexcept {
    if (slot.gone.load(std::memory_order_acquire) == reading.owner) return true;
    const std::uint64_t pid = StatusSlot::pid_of(reading.owner);
    return reading.whole ? !is_running(pid, reading.status.process.start_ticks) : identify_process(pid).pid == 0;
}

}  // namespace faultline::run
