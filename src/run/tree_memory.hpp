// TreeMemory: the memory that the processes of one `faultline run --memory` divide among themselves. It is a part of
// the status file: one entry for each slot there, which belongs to the slot's owner. TreeShare is a process's end of
// it.
//
// A process announces what it takes before it takes it, and takes less before it announces that. It gives memory back
// by writing a smaller share. No process waits for another, and there is no lock: a process that is killed leaves an
// entry of its own, which the others clear when its owner has ended.
//
//   the sum of all shares <= limit, but for the floors of processes that started while nothing was free: then all
//   processes give memory up until the sum fits.
//
// Memory goes to the processes that fault more: a process without free memory gets some of a process that has not used
// its share, or that reads less than half as many pages a second.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::run {

/// What a process has, in bytes, and what it wants. Only the owner of the slot writes to it, until it has ended.
struct TreeEntry {
    std::atomic<std::uint64_t> share;       ///< What it may take; 0: no process.
    std::atomic<std::uint64_t> wants;       ///< Hard faults a second, as long as more memory would save some.
    std::atomic<std::uint64_t> managed;     ///< Frames that it has now,
    std::atomic<std::uint64_t> compressed;  ///< compressed pages,
    std::atomic<std::uint64_t> other;       ///< and other anonymous memory.

    [[nodiscard]] std::uint64_t taken() const noexcept { return managed.load() + compressed.load() + other.load(); }
    void clear() noexcept {
        for (auto* const word : {&share, &wants, &managed, &compressed, &other}) word->store(0);
    }
};

/// Sums over all processes at the moment when they had most, in bytes.
struct TreePeak {
    std::uint64_t managed = 0;
    std::uint64_t compressed = 0;
    std::uint64_t other = 0;

    [[nodiscard]] std::uint64_t sum() const noexcept { return managed + compressed + other; }
};

template <std::size_t Entries>
struct TreeMemory {
    std::uint64_t limit;  ///< Bytes for all processes; 0: they share none.
    std::atomic<std::uint64_t> peak;
    std::atomic<std::uint64_t> peak_managed;  // the parts are those of one process's look at all entries
    std::atomic<std::uint64_t> peak_compressed;
    std::array<TreeEntry, Entries> entries;
};

}  // namespace faultline::run
