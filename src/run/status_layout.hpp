// The status file: memory that `faultline run` makes and all programs under it map, each with a slot of its own to say
// in how it is doing (ProgramStatus). This is its shape and its protocol; StatusWriter and StatusFile are its two ends.
//
// A slot belongs to `owner`: a process's number and the number of its claim, which no other claim has, so a process
// that has called exec, or has been given the number of one that is gone, does not take up where another left off.
// Claiming is one compare-exchange: of a slot that was free, else of one whose owner is gone, whose counters are then
// added to those of `earlier` programs.
//
// An owner writes its n-th status into records[n % 2] and then stores n to `published`. Whoever reads finds the record
// whole if neither `owner` nor `published` has changed meanwhile, and it is of the owner's claim. A writer that is
// killed half way through leaves its last record whole. Words of records are stored with release and loaded with
// acquire order: who has seen a word of record n + 2 sees `published` at n + 1 at least, and who has seen a word of
// another owner's sees that there is another.
#pragma once

#include "run/program_status.hpp"
#include "run/unmanaged_program.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace faultline::run {

static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "other processes know nothing of a lock");

/// A value that many may write and read, word by word: whole only where something else says so.
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
    /// Adds word to word, each at once, all not.
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
    std::atomic<std::uint64_t> gone;       ///< The owner that another program has taken the place of, by exec say.
    std::atomic<std::uint64_t> published;  ///< Records so far.
    std::array<SharedWords<ProgramStatus>, 2> records;

    [[nodiscard]] static std::uint64_t owner_word(std::uint64_t pid, std::uint64_t claim) noexcept {
        return pid << 32 | (claim & 0xffff'ffff);
    }
    [[nodiscard]] static std::uint64_t pid_of(std::uint64_t owner) noexcept { return owner >> 32; }
    [[nodiscard]] static std::uint64_t claim_of(std::uint64_t owner) noexcept { return owner & 0xffff'ffff; }
};

/// Programs that no slot speaks of any more.
struct EarlierPrograms {
    std::uint64_t programs = 0;
    ProgramCounters counters;
};

inline constexpr std::uint64_t kStatusMagic = 0x3153'5554'4154'4c46;  // "FLTATUS1", the first byte last
inline constexpr std::uint64_t kStatusVersion = 2;
inline constexpr std::size_t kStatusSlots = 256;

/// Programs of one name that were started without the preloaded library. Filled by one writer, who owns the entry by
/// its index; `starts` is not 0 once the rest is there.
struct UnmanagedEntry {
    SharedWords<UnmanagedProgram> program;
    std::atomic<std::uint64_t> starts;
};
inline constexpr std::size_t kUnmanagedEntries = 32;

/// The whole of the file. All zeros behind the first four words are a file to which no program has written.
struct StatusMemory {
    std::uint64_t magic;
    std::uint64_t version;
    std::uint64_t bytes;                 ///< Of all this.
    std::uint64_t wants_figures;         ///< 0: programs only add to `claims` and `unmanaged`, and take no slot.
    std::atomic<std::uint64_t> claims;   ///< Begun so far.
    std::atomic<std::uint64_t> unheard;  ///< Programs that found no slot.
    std::atomic<std::uint64_t> unmanaged_taken;  ///< Entries taken so far, also those that there was no room for.
    std::array<UnmanagedEntry, kUnmanagedEntries> unmanaged;
    SharedWords<EarlierPrograms> earlier;
    std::array<StatusSlot, kStatusSlots> slots;
};

/// Counts a program that starts without the preloaded library. Signal-safe; any thread of any process.
void note_unmanaged(StatusMemory& memory, const UnmanagedProgram& program) noexcept;

struct SlotReading {
    std::uint64_t owner = StatusSlot::kFree;
    bool whole = false;  ///< False: nothing has been published, or it changed under our eyes.
    ProgramStatus status;
};

/// One try to read a slot. Signal-safe.
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

/// Whether the owner will say nothing more: its process is gone, or runs another program. Signal-safe.
[[nodiscard]] inline bool has_ended(const StatusSlot& slot, const SlotReading& reading) noexcept {
    if (slot.gone.load(std::memory_order_acquire) == reading.owner) return true;
    const std::uint64_t pid = StatusSlot::pid_of(reading.owner);
    return reading.whole ? !is_running(pid, reading.status.process.start_ticks) : identify_process(pid).pid == 0;
}

}  // namespace faultline::run
