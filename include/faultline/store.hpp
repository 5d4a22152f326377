/// @file
/// Store: the interface by which a program gives a pager its own place for pages that are not in memory: another
/// machine, an object store, the memory of a device. Derive from it, and put an object into `Config::store`.
/// `check_store` in conformance.hpp tests an implementation. Without one, a pager uses a swap file.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline {
inline namespace v0 {

/// An array of bytes that keeps what is written to it. The pager decides which page lies where, verifies a checksum of
/// each page that it reads, and keeps compressed pages in memory before they get here (`Config::compressed_limit`).
///
/// **Calls.** All offsets and sizes are multiples of 4 KiB, and within `size()`. A call transfers at most
/// `kLargestTransfer` bytes. Several threads call at once, at most `concurrency()`; never two for the same bytes, if
/// one of them writes or discards.
///
/// **Where they run.** In threads of the library, which make no other calls; so a function may allocate, lock and wait.
/// Faults wait for it. It must not touch memory that faultline manages, nor take a lock that a thread may hold
/// while it touches such memory, nor keep pointers to the bytes that it is given. What it throws counts as EIO. See
/// `is_signal_safe` for stores that need no thread.
///
/// **Errors.** A function returns 0, or an errno. After a failed read, the faulting access gets SIGBUS and the page
/// stays in the store (`Region::retry` tries again). After a failed write, the page stays in memory, and the pager
/// writes it again later; it writes elsewhere if the error is ENOSPC. A store that returns other bytes than those that
/// were written is found by the checksum: EIO.
///
/// **Lifetime.** One pager uses a store at a time, until its last region is destroyed. The store may start with any
/// contents: the pager reads nothing that it has not written.
class FAULTLINE_API Store {
public:
    /// The most bytes that one call transfers.
    static constexpr std::size_t kLargestTransfer = std::size_t{256} << 10;
    /// The smallest store that a pager accepts, in bytes.
    static constexpr std::uint64_t kSmallest = std::uint64_t{16} << 20;

    Store() = default;
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;
    virtual ~Store();

    /// Returns the size in bytes, at least `kSmallest`. The pager asks once. It may be larger than the memory behind
    /// it: `write` returns ENOSPC when that is full.
    [[nodiscard]] virtual std::uint64_t size() const noexcept = 0;

    /// Fills all of `into` with the bytes at `offset`.
    [[nodiscard]] virtual int read(std::uint64_t offset, std::span<std::byte> into) = 0;

    /// Stores all of `from` at `offset`. If it fails, the old bytes may be lost.
    [[nodiscard]] virtual int write(std::uint64_t offset, std::span<const std::byte> from) = 0;

    /// Tells that the bytes of a range are not needed any more. The range may be of any size. The pager does not read
    /// it before it writes it again. The default does nothing.
    virtual void discard(std::uint64_t offset, std::uint64_t bytes);

    /// Returns the number of threads that call `read`, `write` and `discard`: 1 to 64. The pager asks once. The default
    /// is 4.
    [[nodiscard]] virtual unsigned concurrency() const noexcept;

    /// Returns true if `read` and `write` are async-signal-safe: they neither allocate nor lock nor throw. Then the
    /// faulting threads call them, in a signal handler, any number at once, which saves two thread switches. The
    /// default is false.
    [[nodiscard]] virtual bool is_signal_safe() const noexcept;
};

}  // namespace v0
}  // namespace faultline
