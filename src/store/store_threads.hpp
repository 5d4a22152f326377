// StoreThreads: threads of the library that call a Store of the program, whose functions may allocate, lock and wait.
// A faulting thread puts its calls on a list and sleeps until they have ended. It does not split or merge calls beyond
// what a Store accepts. StoreDevice uses it.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/futex_lock.hpp"
#include "sys/mapping.hpp"
#include "sys/service_thread.hpp"

#include <faultline/store.hpp>

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace faultline::store {

/// One call of a Store. `parts`: the memory to fill or to write, one after the other from `offset` on. `bytes`: how
/// many to discard.
struct StoreCall {
    enum class Kind : std::uint8_t { read, write, discard };
    Kind kind = Kind::read;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    std::span<const iovec> parts{};
    int error = 0;  ///< Set by the call: 0 or an errno.

    StoreCall* next = nullptr;                   ///< For StoreThreads.
    std::atomic<std::uint32_t>* left = nullptr;  ///< Likewise: a futex.
};

/// Makes one call on the calling thread, in pieces of at most Store::kLargestTransfer. `gathered`: memory of that size,
/// in which parts are put together for one write, so that the store never gets a pointer to managed memory. If it is
/// empty, each part is written by itself, from where it is. Returns what the store returns; EIO if it throws, or
/// returns a number that is no errno.
[[nodiscard]] int call_store(Store& store, const StoreCall& call, std::span<std::byte> gathered) noexcept;

class StoreThreads {
public:
    /// Starts `store.concurrency()` threads. `store` outlives this. Throws std::system_error.
    explicit StoreThreads(Store& store);
    /// Joins the threads. No call is on its way.
    ~StoreThreads();
    StoreThreads(const StoreThreads&) = delete;
    StoreThreads& operator=(const StoreThreads&) = delete;

    /// Makes all calls, and returns when they have ended. Signal-safe; a caller outside a fault has signals blocked.
    void make(std::span<StoreCall> calls) FAULTLINE_SIGNAL_SAFE;

private:
    void run(std::span<std::byte> gathered) noexcept;
    [[nodiscard]] StoreCall* take() noexcept;

    Store& store_;
    sys::Mapping gathered_;  // a piece for each thread
    sys::FutexLock lock_;    // guards the next two
    StoreCall* first_ = nullptr;
    StoreCall* last_ = nullptr;
    std::atomic<std::uint32_t> changes_{0};  // of the list, and of `stopping_`: a futex
    std::atomic<bool> stopping_{false};
    std::vector<std::unique_ptr<sys::ServiceThread>> threads_;
};

}  // namespace faultline::store
