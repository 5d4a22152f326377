// RegionTree: which region, of any pager of the process, an address belongs to. Control calls keep a tree; the fault
// path reads a sorted copy of it without a lock, and Quiescence says when an old copy, or a region, may go.
#pragma once

#include "core/signal_safe.hpp"
#include "pager/quiescence.hpp"
#include "sys/cpu.hpp"
#include "sys/futex.hpp"

#include <atomic>
#include <cstdint>
#include <optional>

namespace faultline::detail {

class Region;

/// Keeps new readers out while a process forks, since a child would never see those end that are under way, and while a
/// space is cloned. Signal-safe.
class ForkGate {
public:
    /// From here on only the caller passes. Those who have passed are waited for by Quiescence::synchronize.
    static void close() noexcept {
        owner_.store(sys::thread_token());
        closed_.store(1);
    }
    static void open() noexcept {
        closed_.store(0);
        sys::futex_wake(closed_);
    }
    [[nodiscard]] static bool is_closed() FAULTLINE_SIGNAL_SAFE {
        return closed_.load() != 0 && owner_.load() != sys::thread_token();
    }
    static void wait() FAULTLINE_SIGNAL_SAFE { sys::futex_wait(closed_, 1); }

private:
    static inline std::atomic<std::uint32_t> closed_{0};
    static inline std::atomic<std::uint64_t> owner_{0};
};

/// One for the process, since a signal handler is.
class RegionTree {
public:
    /// Throws std::bad_alloc.
    static void insert(Region& region);

    /// Returns when no reader can find the region any more (it may still hold it: see Pager::destroy).
    static void remove(Region& region);

    /// The region at `address`, or null. The caller is a reader, and the region lives as long as it is. Signal-safe.
    [[nodiscard]] static Region* find(std::uintptr_t address) FAULTLINE_SIGNAL_SAFE;

    /// The region at `address`, or else the next one above it, or null. Otherwise like `find`.
    [[nodiscard]] static Region* find_from(std::uintptr_t address) FAULTLINE_SIGNAL_SAFE;

    // Around fork and clone; see forking.hpp and standstill.hpp.

    /// Nobody inserts or removes a region, forks with one that is inherited, or clones until the other is called, in
    /// the parent or in the child.
    static void lock();
    static void unlock() noexcept;

    /// In a child, before anything is mapped there: the addresses of all regions stay what they are, out of reach.
    static void close_in_child() noexcept;

    /// In a child, which has the memory of some regions only: forgets those that `stays` is false for. Nobody is a
    /// reader.
    static void forget_unless(bool (*stays)(const Region&));

    /// In a child that has none of the regions, whatever other threads of the parent did to the list just now.
    static void start_afresh();

    /// Guards regions, and batches' references to them, on every road of the pager's.
    [[nodiscard]] static Quiescence& readers() FAULTLINE_SIGNAL_SAFE;
};

/// A reader of RegionTree::readers(), unless the gate is closed: then it waits. Signals are blocked while it is
/// made.
class RegionReader {
public:
    RegionReader() FAULTLINE_SIGNAL_SAFE {
        reader_.emplace(RegionTree::readers());
        // A thread that is inside already must go on, since it is waited for.
        while (depth_ == 0 && ForkGate::is_closed()) {
            reader_.reset();
            ForkGate::wait();
            reader_.emplace(RegionTree::readers());
        }
        ++depth_;
    }
    ~RegionReader() { --depth_; }
    RegionReader(const RegionReader&) = delete;
    RegionReader& operator=(const RegionReader&) = delete;

private:
    // Initial-exec: the other models may allocate a thread's block on its first use, in a fault handler.
    [[gnu::tls_model("initial-exec")]] static thread_local constinit inline int depth_ = 0;

    std::optional<Quiescence::Reader> reader_;
};

}  // namespace faultline::detail
