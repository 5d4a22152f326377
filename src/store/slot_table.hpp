// SlotTable: for each slot its word, the number of its users, and its place in a swap file. The table consists of
// shelves. A shelf has the slots of 4 GiB of one swap file; SwapSpace adds and removes shelves. SlotTable allots no
// slots (SlotAllocator does) and moves no bytes.
//
// A shelf needs 8 bytes of memory for each slot that was used, and 4 more if several locations have named it.
#pragma once

#include "core/check.hpp"
#include "core/record_memory.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "store/slot_chunk.hpp"
#include "store/slot_word.hpp"
#include "store/swap_file.hpp"
#include "sys/array_memory.hpp"
#include "sys/atomic_bits.hpp"
#include "sys/lazy_array.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace faultline::store {

/// A run of slots of one swap file.
struct SlotRun {
    SlotNumber first = kNoSlot;
    std::uint32_t count = 0;
};

/// The memory of several shelves. Mappings of their own would cost eight system calls each.
class ShelfMemory {
public:
    /// Throws std::system_error (ENOMEM).
    explicit ShelfMemory(std::size_t shelves);
    /// Returns the memory of the next shelf.
    [[nodiscard]] sys::Mapping take() noexcept;

private:
    sys::ArrayMemory memory_;
};

/// A shelf. SwapSpace constructs it; `chunks` belong to SlotAllocator.
struct SlotShelf {
    static constexpr unsigned kShift = 20;
    static constexpr std::uint32_t kSlots = std::uint32_t{1} << kShift;
    static constexpr std::uint32_t kChunks = kSlots / SlotChunk::kSlots;
    static constexpr std::uint64_t kBytes = std::uint64_t{kSlots} << core::kUnitShift;

    /// `records`: counts the memory of the words; may be null. Throws std::system_error (ENOMEM).
    explicit SlotShelf(core::RecordMemory* records = nullptr) : SlotShelf{std::make_shared<ShelfMemory>(1), records} {}
    /// The same, with memory for several.
    SlotShelf(std::shared_ptr<ShelfMemory> of_several, core::RecordMemory* records);
    ~SlotShelf() { memory.discard(); }
    SlotShelf(const SlotShelf&) = delete;
    SlotShelf& operator=(const SlotShelf&) = delete;

    std::shared_ptr<ShelfMemory> shared;
    sys::ArrayMemory memory;  // of the arrays
    sys::LazyArray<std::atomic<std::uint64_t>> words;
    sys::LazyArray<std::atomic<std::uint32_t>> more_users;  // locations that name the slot, beyond the first
    sys::LazyArray<std::atomic<std::uint64_t>> notes;       // see SharedBytes
    sys::LazyArray<SlotChunk> chunks;
    sys::AtomicBits preallocated;  // chunks whose blocks were allocated together

    core::RecordCharge charge;  // a unit for each chunk that was used: its words take that much

    std::shared_ptr<SlotDevice> device;      // changed while nothing else goes on
    std::uint64_t file_offset = 0;           // of the first slot, in bytes
    std::uint32_t usable_chunks = kChunks;   // fewer where the file size is limited
    bool frozen = false;                     // another process reads the file, too: nothing is written to it any more
    std::atomic<std::uint32_t> allotted{0};  // slots
};

/// Signal-safe and thread-safe, except `add` and `remove`.
class SlotTable {
public:
    /// 16 TiB of swap space.
    static constexpr std::uint32_t kMostShelves = std::uint32_t{1} << (32 - SlotShelf::kShift);

    /// Adds a shelf without used slots. Returns its number, or 0 if the table is full. Control path.
    [[nodiscard]] std::uint32_t add(std::unique_ptr<SlotShelf> shelf);
    /// Removes a shelf, none of whose slots is used. Control path; nothing else uses the shelf meanwhile.
    [[nodiscard]] std::unique_ptr<SlotShelf> remove(std::uint32_t number) noexcept;

    /// Returns how many shelves can be added, at most `wanted`. Control path.
    [[nodiscard]] std::size_t room(std::size_t wanted) const noexcept;

    /// Returns a shelf, or null.
    [[nodiscard]] SlotShelf* shelf(std::uint32_t number) const FAULTLINE_SIGNAL_SAFE {
        return shelves_[number].load(std::memory_order_acquire);
    }
    [[nodiscard]] SlotShelf& shelf_of(SlotNumber slot) const FAULTLINE_SIGNAL_SAFE {
        SlotShelf* const found = shelf(slot >> SlotShelf::kShift);
        FAULTLINE_REQUIRE(found != nullptr, "a location names a slot that does not exist");
        return *found;
    }
    /// Returns true if the slot exists: entries in memory that was overwritten may name any number.
    [[nodiscard]] bool has(SlotNumber slot) const FAULTLINE_SIGNAL_SAFE {
        return shelf(slot >> SlotShelf::kShift) != nullptr;
    }
    [[nodiscard]] static std::uint32_t index_of(SlotNumber slot) noexcept { return slot & (SlotShelf::kSlots - 1); }

    // Sequentially consistent: a reader pins an entry's segment and then loads the word again.

    [[nodiscard]] SlotWord load(SlotNumber slot) const FAULTLINE_SIGNAL_SAFE { return SlotWord{word(slot).load()}; }
    void store(SlotNumber slot, SlotWord next) const FAULTLINE_SIGNAL_SAFE { word(slot).store(next.bits()); }
    /// Replaces `seen` by `next`. On failure sets `seen` to the current word and returns false.
    [[nodiscard]] bool try_change(SlotNumber slot, SlotWord& seen, SlotWord next) const FAULTLINE_SIGNAL_SAFE {
        std::uint64_t bits = seen.bits();
        const bool changed = word(slot).compare_exchange_strong(bits, next.bits());
        if (!changed) seen = SlotWord{bits};
        return changed;
    }
    /// Replaces the word by `edge(word)`. Returns the old word.
    template <typename Edge>
    SlotWord change(SlotNumber slot, Edge edge) const FAULTLINE_SIGNAL_SAFE {
        SlotWord seen = load(slot);
        while (!try_change(slot, seen, edge(seen))) {
        }
        return seen;
    }

    // A page's first slot counts the locations that name the page.

    /// Counts one more location. The caller keeps another one from going meanwhile.
    void add_user(SlotNumber first) const FAULTLINE_SIGNAL_SAFE { more_users(first).fetch_add(1); }
    /// Counts one location less. Returns true if it was the last: then the caller frees the page's slots.
    [[nodiscard]] bool drop_user(SlotNumber first) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::uint32_t users(SlotNumber first) const FAULTLINE_SIGNAL_SAFE {
        return more_users(first).load() + 1;
    }

    /// Returns the note of a page that several locations name; see SharedBytes.
    [[nodiscard]] std::atomic<std::uint64_t>& note(SlotNumber first) const FAULTLINE_SIGNAL_SAFE {
        return shelf_of(first).notes[index_of(first)];
    }

    [[nodiscard]] SlotDevice& device_of(SlotNumber slot) const FAULTLINE_SIGNAL_SAFE { return *shelf_of(slot).device; }
    /// Returns the offset of the slot's bytes in its file.
    [[nodiscard]] std::uint64_t file_offset_of(SlotNumber slot) const FAULTLINE_SIGNAL_SAFE {
        return shelf_of(slot).file_offset + (std::uint64_t{index_of(slot)} << core::kUnitShift);
    }

    /// Calls `visit(number, shelf)` for each shelf.
    template <typename Visit>
    void for_each(Visit visit) const {
        for (std::uint32_t number = 1; number < most_; ++number) {
            if (SlotShelf* const found = shelf(number)) visit(number, *found);
        }
    }

    ~SlotTable();
    SlotTable() = default;
    SlotTable(const SlotTable&) = delete;
    SlotTable& operator=(const SlotTable&) = delete;

private:
    [[nodiscard]] std::atomic<std::uint64_t>& word(SlotNumber slot) const FAULTLINE_SIGNAL_SAFE {
        return shelf_of(slot).words[index_of(slot)];
    }
    [[nodiscard]] std::atomic<std::uint32_t>& more_users(SlotNumber slot) const FAULTLINE_SIGNAL_SAFE {
        return shelf_of(slot).more_users[index_of(slot)];
    }

    std::array<std::atomic<SlotShelf*>, kMostShelves> shelves_{};  // owned; none has the number 0, so no slot has
    std::uint32_t most_ = 1;                                       // no shelf has this number, or a higher one
};

}  // namespace faultline::store
