// BackingStore: holds the bytes of one region's pages that are not resident. Files implement it; tests replace it with
// fakes. It transfers bytes and returns space. It does not know which pages are swapped or current: the page words do.
// The pager calls it.
#pragma once

#include "core/record_memory.hpp"
#include "core/signal_safe.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace faultline::store {

class BackingStore;
class ReadPlan;
class SwapStore;

/// Bytes of a region that its store is to read, in whole pages; or any 16 KiB of a larger page.
struct StoreRead {
    std::uint64_t offset = 0;
    std::span<std::byte> into{};
};

/// One page that its store is to write. `error`: 0 or an errno, set by StoreFactory::write.
struct StoreWrite {
    BackingStore* store = nullptr;
    std::uint64_t offset = 0;
    std::span<const std::byte> bytes{};
    int error = 0;
};

/// The location of a page's bytes, for statistics and tools.
struct Whereabouts {
    enum class Place : std::uint8_t {
        nowhere,     ///< The store has no bytes of the page.
        swap_file,   ///< In the swap file, at `at`.
        compressed,  ///< In memory, compressed.
        origin,      ///< In the file that the page was first read from, at `at`.
    };
    Place place = Place::nowhere;
    std::uint64_t at = 0;  ///< In bytes.
    bool shared = false;   ///< Other stores use the same bytes.
};

/// Bytes that several stores have at one location, so that one frame can serve all of them. Equal values mean the same
/// bytes.
struct SharedBytes {
    /// The page that last had these bytes in a frame (core::PageRef::bits), 0 if none. A thread that reads the bytes
    /// into a frame stores the page here. Null: no other store has these bytes.
    std::atomic<std::uint64_t>* note = nullptr;
    const void* origin = nullptr;
    std::uint64_t at = 0;
    friend bool operator==(const SharedBytes&, const SharedBytes&) = default;
};

/// Work that a thread does while a disk reads for it.
class DuringRead {
public:
    /// Called once at most for each call that reads, after the disk has got all reads. Takes about as long as a read.
    virtual void work_during_read() FAULTLINE_SIGNAL_SAFE = 0;

protected:
    ~DuringRead() = default;
};

/// Threads may call everything at once, for different pages. The pager never has two writes of one page in flight.
/// Offsets count from the region's first byte. Offsets and sizes are in bytes, multiples of 4 KiB. Calls that return
/// int return 0 or an errno.
class BackingStore {
public:
    virtual ~BackingStore() = default;

    /// Fills all of `into` or fails. Never reads short, never returns bytes that were not written: EIO instead. The
    /// caller owns the pages. Signal-safe.
    [[nodiscard]] virtual int read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE = 0;

    /// Reads several pieces, at most ReadPlan::kMostBytes in all. A store that waits for a disk may let the thread do
    /// other work `meanwhile`, which may be null. The default makes one call of `read` for each. Signal-safe.
    [[nodiscard]] virtual int read_pages(std::span<const StoreRead> reads, DuringRead* meanwhile) FAULTLINE_SIGNAL_SAFE;

    /// The same, for a caller that reads files by itself: adds what is to be read from files to `plan`, and reads the
    /// rest now. When the caller has read what `plan` says, it calls check_read, and only then are the bytes valid. The
    /// default reads all of it now. Signal-safe.
    [[nodiscard]] virtual int plan_read(std::span<const StoreRead> reads,
                                        [[maybe_unused]] ReadPlan& plan) FAULTLINE_SIGNAL_SAFE {
        return read_pages(reads, nullptr);
    }
    /// Returns 0, or EIO if bytes are not those that were written. Signal-safe.
    [[nodiscard]] virtual int check_read(std::span<const StoreRead>) FAULTLINE_SIGNAL_SAFE { return 0; }

    /// Writes all of `from` or fails; then the old bytes may be lost. Signal-safe. ENOSPC: the store is full.
    [[nodiscard]] virtual int write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE = 0;

    /// Returns the store of swap slots that a write of the page at `offset` goes to, so that many pages can be written
    /// together; null if `write` must be called. Signal-safe.
    [[nodiscard]] virtual SwapStore* swap_store([[maybe_unused]] std::uint64_t offset) FAULTLINE_SIGNAL_SAFE {
        return nullptr;
    }

    // Copies in memory, of pages that a file has. A page that leaves memory without a write may come back without a
    // read.

    /// Returns true if a copy of the page at `offset`, which is about to leave memory, would be useful. Signal-safe.
    [[nodiscard]] virtual bool wants_copy([[maybe_unused]] std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
        return false;
    }
    /// Keeps a copy of a page, if there is room. `page`: its bytes, which the store has. The caller owns the page.
    /// Signal-safe.
    virtual void keep_copy([[maybe_unused]] std::uint64_t offset,
                           [[maybe_unused]] std::span<const std::byte> page) FAULTLINE_SIGNAL_SAFE {}

    /// Returns the space of a range, now or later. The caller does not read the range before it writes it again.
    virtual void discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// Forgets the bytes of a range whose pages leave the region. A store that writes to a file of the program leaves
    /// the file as it is.
    virtual void discard_keeping_space(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {
        discard(offset, bytes);
    }

    /// Returns the location of the 4 KiB that read() would return for `offset`, if the page may be read. The bytes may
    /// move right after the call. Signal-safe.
    [[nodiscard]] virtual Whereabouts whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
        return {Whereabouts::Place::swap_file, offset};
    }

    /// Returns the shared bytes that read() would return for the 4 KiB at `offset`, if there are any. Valid while the
    /// caller owns the page and the page is clean. Only for regions of one pager with pages of 4 KiB. Signal-safe.
    [[nodiscard]] virtual SharedBytes shared_bytes([[maybe_unused]] std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
        return {};
    }
};

/// The process after fork: parent or child.
enum class ForkSide : std::uint8_t { parent, child };

class WriteQueue;

/// The memory of compressed pages of one factory, for the rule that divides memory between them and frames. Sizes in
/// bytes; counts since the factory was made.
struct CompressedShare {
    std::size_t limit = 0;         ///< In force now.
    std::size_t used = 0;          ///< Memory in use, free memory that is kept for the next pages included.
    std::size_t compressed = 0;    ///< The live pages, compressed,
    std::size_t original = 0;      ///< and their size when they are not.
    std::uint64_t kept = 0;        ///< Pages that were compressed into memory.
    std::uint64_t rejected = 0;    ///< Pages that did not shrink enough.
    std::uint64_t pushed_out = 0;  ///< Pages that left this memory for the file, or found it full.
};

/// Opens the stores of a pager's regions. Tests replace it, like the store.
class StoreFactory {
public:
    virtual ~StoreFactory() = default;
    /// Opens a store for a new region of `bytes`. Throws std::system_error (EFBIG, ENOSPC, EMFILE...).
    [[nodiscard]] virtual std::unique_ptr<BackingStore> open(std::uint64_t bytes) = 0;
    /// Like open, for a region with pages of `page_bytes`. Writes and discards are then of whole pages. Reads are of
    /// whole pages, or of any 16 KiB of larger ones.
    [[nodiscard]] virtual std::unique_ptr<BackingStore> open_for_pages(std::uint64_t bytes,
                                                                       [[maybe_unused]] std::size_t page_bytes) {
        return open(bytes);
    }
    /// Like open_for_pages, for a region of which only a part is used at a time. The caller reserves room for the part,
    /// and gives it up again. `reserve` throws like `open`.
    [[nodiscard]] virtual std::unique_ptr<BackingStore> open_window(std::uint64_t bytes, std::size_t page_bytes) {
        return open_for_pages(bytes, page_bytes);
    }
    virtual void reserve([[maybe_unused]] std::uint64_t bytes) {}
    virtual void unreserve([[maybe_unused]] std::uint64_t bytes) noexcept {}

    /// Writes pages of any stores of this factory; sets the error of each. Takes the pages in order, so pages that are
    /// read together should be together. The default calls BackingStore::write for each. Signal-safe.
    virtual void write(std::span<StoreWrite> writes, WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    // Upkeep: work of some stores that a background thread of the pager does before a fault has to wait for it.

    [[nodiscard]] virtual bool needs_upkeep() const FAULTLINE_SIGNAL_SAFE { return false; }
    /// Does upkeep. Returns 0 or an errno. After an error as much work may be left, and nothing is lost.
    virtual int do_upkeep([[maybe_unused]] WriteQueue& queue) FAULTLINE_SIGNAL_SAFE { return 0; }
    /// Returns an estimate of how many more bytes the stores can take. Returns the largest number if there is no
    /// estimate.
    [[nodiscard]] virtual std::uint64_t room() noexcept { return ~std::uint64_t{0}; }
    /// Returns the bytes of memory in which the stores hold pages.
    [[nodiscard]] virtual std::uint64_t memory_used() const noexcept { return 0; }

    // The memory for compressed pages can change while the program runs.

    [[nodiscard]] virtual CompressedShare compressed_share() const FAULTLINE_SIGNAL_SAFE { return {}; }
    /// Sets the limit in bytes. The memory beyond a lowered limit stays in use until do_upkeep() has freed it. The
    /// default has no such memory.
    virtual void set_compressed_limit([[maybe_unused]] std::size_t bytes) FAULTLINE_SIGNAL_SAFE {}

    /// Returns the count of the memory that the records and buffers of the stores, and of the pager's regions, take.
    [[nodiscard]] core::RecordMemory& records() noexcept { return records_; }

    // Freeing disk space takes a file system milliseconds. It is better done in large pieces by a background thread.

    /// Says whether a background thread calls return_some_space(). The default is no: then the threads that free space
    /// return it, in large pieces.
    virtual void set_background_return([[maybe_unused]] bool on) noexcept {}
    /// Returns true if return_some_space() should be called soon. Any discard, and the end of a store, may make it
    /// true.
    [[nodiscard]] virtual bool has_space_to_return() const FAULTLINE_SIGNAL_SAFE { return false; }
    /// Returns one piece of space to the file system, with at most one slow call.
    virtual void return_some_space() {}

    // Fork, for a child that keeps the contents. The order is prepare_fork, fork, then continue_as in both processes;
    // or cancel_fork if fork failed. From the first to the last call no thread calls anything else of this factory or
    // of a store.

    /// Does everything that can fail. `queue` makes the writes. The stores keep their contents, also when it throws.
    /// Throws std::system_error or std::bad_alloc. EOPNOTSUPP: the stores cannot be shared with a child (this default).
    /// Other errors are those of a new file (ENOSPC, EMFILE, ENOENT, EFBIG, EIO...).
    virtual void prepare_fork(WriteQueue& queue);
    /// Separates the processes: from here on neither sees the other's writes and discards.
    virtual void continue_as([[maybe_unused]] ForkSide side) noexcept {}
    /// Undoes prepare_fork when there is no child.
    virtual void cancel_fork() noexcept {}
    /// Opens what this process needs to make several reads at once. A child of fork does not inherit it; until it calls
    /// this, it makes reads one after the other. Any thread may call it, any number of times.
    virtual void speed_up_reads() noexcept {}
    /// Returns true if the kernel makes all reads of pages from descriptors, so that they can be in flight without a
    /// thread that waits for each.
    [[nodiscard]] virtual bool reads_by_kernel() const noexcept { return true; }
    /// Returns true if pages of regions may be in the stores.
    [[nodiscard]] virtual bool holds_pages() const noexcept { return true; }

private:
    core::RecordMemory records_;
};

}  // namespace faultline::store
