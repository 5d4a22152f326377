// BackingStore: where the pages of one region live when they are not resident. A seam: files are the real thing, tests
// put fakes here. It moves bytes and gives space back; which page is where, and whether it is current, the page words
// know.
#pragma once

#include "core/signal_safe.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace faultline::store {

/// Where a store's bytes are in a file, for those who transfer many at once.
struct FileExtent {
    int fd = -1;
    std::uint64_t offset = 0;  ///< Of the first byte asked for.
};

/// Where a page's bytes are, for those who look.
struct Whereabouts {
    enum class Place : std::uint8_t {
        nowhere,     ///< The store has no bytes of it.
        swap_file,   ///< In the swap file, at `at`.
        compressed,  ///< In memory, compressed.
        origin,      ///< Where they were before it came in the first time: a file, at `at`.
    };
    Place place = Place::nowhere;
    std::uint64_t at = 0;  ///< In bytes.
    bool shared = false;   ///< Other stores have them there, too.
};

/// Bytes that several stores have in one place, so that a frame with them serves whoever needs them next. What is equal
/// is the same bytes.
struct SharedBytes {
    /// Says which page had them in a frame last (core::PageRef::bits), 0: none. Whoever brings them in notes it. Null:
    /// nobody else has them.
    std::atomic<std::uint64_t>* note = nullptr;
    const void* origin = nullptr;
    std::uint64_t at = 0;
    friend bool operator==(const SharedBytes&, const SharedBytes&) = default;
};

/// All calls may come from many threads at once, for different pages; the pager never has two writes of one page in
/// flight. Offsets and sizes are in bytes from the region's first byte, multiples of 4 KiB. Each returns 0 or an errno.
class BackingStore {
public:
    virtual ~BackingStore() = default;

    /// Fills all of `into`, or fails: never short, never with bytes that were not written. Signal-safe.
    [[nodiscard]] virtual int read(std::uint64_t offset, std::span<std::byte> into) FAULTLINE_SIGNAL_SAFE = 0;

    /// Writes all of `from`, or fails. Signal-safe. ENOSPC: full; what was there before may be gone.
    [[nodiscard]] virtual int write(std::uint64_t offset, std::span<const std::byte> from) FAULTLINE_SIGNAL_SAFE = 0;

    /// Gives the space of a range back, now or later. The range is not read again before it is written.
    virtual void discard(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// The same, except that space on a disk may stay taken, for who will soon write to the range again: to give blocks
    /// back takes a file system longer than to write them.
    virtual void forget(std::uint64_t offset, std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE { discard(offset, bytes); }

    /// The file behind the store and where the region begins in it, if writes may go to it directly; else fd -1.
    [[nodiscard]] virtual FileExtent extent() const FAULTLINE_SIGNAL_SAFE { return {}; }

    /// Where all of a range can be read from a file by others, in one piece; else fd -1. Good as long as the pages of
    /// the range are owned. Signal-safe.
    [[nodiscard]] virtual FileExtent location([[maybe_unused]] std::uint64_t offset,
                                              [[maybe_unused]] std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE {
        return {};
    }

    /// Where the bytes of the 4 KiB at `offset` are that read() would return, if it is a page that may be read. It may
    /// be somewhere else the next moment. Signal-safe.
    [[nodiscard]] virtual Whereabouts whereabouts(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
        return {Whereabouts::Place::swap_file, offset};
    }

    /// What the 4 KiB at `offset` share with other stores, if read() would return that. Good as long as the page is
    /// owned and clean. Only of regions of one pager, with pages of 4 KiB. Signal-safe.
    [[nodiscard]] virtual SharedBytes shared_bytes([[maybe_unused]] std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
        return {};
    }

    /// Whoever is going to write a range to the extent says so first, so that the file can make room. Not needed before
    /// write(). Signal-safe.
    virtual void about_to_land([[maybe_unused]] std::uint64_t offset,
                               [[maybe_unused]] std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {}

    /// Whoever wrote to the extent says here that all of a range is there; only then does read() look for it there. Not
    /// needed after write(). Signal-safe.
    virtual void landed([[maybe_unused]] std::uint64_t offset,
                        [[maybe_unused]] std::uint64_t bytes) FAULTLINE_SIGNAL_SAFE {}
};

/// Which of the two processes one is after fork.
enum class ForkSide : std::uint8_t { parent, child };

class WriteQueue;

/// Opens stores for regions. A seam like the store itself.
class StoreFactory {
public:
    virtual ~StoreFactory() = default;
    /// A store for a new region of `bytes`. Throws std::system_error (EFBIG, ENOSPC, EMFILE...).
    [[nodiscard]] virtual std::unique_ptr<BackingStore> open(std::uint64_t bytes) = 0;
    /// The same, where writes and discards will be of whole pages of `page_bytes`, and so will reads, but of any 16 KiB
    /// of larger ones: some stores do better when they know.
    [[nodiscard]] virtual std::unique_ptr<BackingStore> open_for_pages(std::uint64_t bytes,
                                                                       [[maybe_unused]] std::size_t page_bytes) {
        return open(bytes);
    }

    // Some stores have work that is better done before a fault waits for it, by a thread of the pager's.

    [[nodiscard]] virtual bool wants_upkeep() const FAULTLINE_SIGNAL_SAFE { return false; }
    /// Returns 0 or an errno: then there may be as much to do as before, and nothing is lost.
    virtual int keep_up([[maybe_unused]] WriteQueue& queue) FAULTLINE_SIGNAL_SAFE { return 0; }
    /// Bytes that the stores could still take, as far as anybody can say ahead; the largest number there is where
    /// nobody can.
    [[nodiscard]] virtual std::uint64_t room() noexcept { return ~std::uint64_t{0}; }
    /// Bytes of memory that the stores hold pages in.
    [[nodiscard]] virtual std::uint64_t memory_used() const noexcept { return 0; }

    // Giving space on a disk back takes a file system milliseconds: better in large pieces, by a thread of the pager's.

    /// Whether a thread in the background is there to call return_some_space(). Without one the stores return space in
    /// large pieces by the threads that free it, which is what they begin with.
    virtual void set_background_return([[maybe_unused]] bool on) noexcept {}
    /// Whether return_some_space() should be called soon. It may become so by any discard, and by the end of a store.
    [[nodiscard]] virtual bool has_space_to_return() const FAULTLINE_SIGNAL_SAFE { return false; }
    /// Returns one piece, with at most one call that takes long.
    virtual void return_some_space() {}

    // So that a child can go on with the contents: prepare_fork, then fork, then continue_as in both processes or, if
    // fork failed, cancel_fork. From the first to the last nothing else is called, neither here nor on any store, on
    // any thread.

    /// Does all that can fail: afterwards the stores hold what they held, whether it throws or not. Throws
    /// std::system_error: EOPNOTSUPP where stores cannot be shared with a child, which is what this one says; else what
    /// a new file may meet (ENOSPC, EMFILE, ENOENT, EFBIG, EIO...), and std::bad_alloc.
    virtual void prepare_fork();
    /// From here on what this process writes or discards the other does not see, and the other way round.
    virtual void continue_as([[maybe_unused]] ForkSide side) noexcept {}
    /// There is no child: all is as before prepare_fork.
    virtual void cancel_fork() noexcept {}
};

}  // namespace faultline::store
