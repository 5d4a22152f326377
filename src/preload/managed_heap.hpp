// ManagedHeap: the single heap of a preloaded program, and the decision which allocations it serves.
// It is made once and never destroyed, because programs allocate and free until their last instruction.
#pragma once

#include "heap/heap.hpp"
#include "preload/thread_state.hpp"
#include "run/settings.hpp"

#include <array>
#include <atomic>
#include <cstdint>

namespace faultline::preload {

/// The code of one loaded object. Empty until it is known.
struct CodeRange {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    [[nodiscard]] bool contains(const void* address) const noexcept {
        return core::address_of(address) - begin < end - begin;
    }
};

/// Code whose allocations are not managed: that of the C library, of the dynamic loader and of this library.
struct Neighbours {
    CodeRange libc;
    CodeRange loader;
    CodeRange self;
    CodeRange allocator;  // that the program is linked with; else the C library

    /// Returns true if the code at `address` maps memory for its own records and blocks. It may hold locks that an
    /// allocation of ours would need.
    [[nodiscard]] bool maps_for_itself(const void* address) const noexcept {
        return libc.contains(address) || loader.contains(address) || allocator.contains(address);
    }
};

class ManagedHeap {
public:
    /// Returns the heap; null until `open`, and from `retire` on.
    [[nodiscard]] static heap::Heap* get() noexcept { return heap_.load(std::memory_order_acquire); }

    /// Returns true if an allocation by the code at `caller` is managed. Allocations of the C library are not, for
    /// three reasons. The library passes them to system calls that cannot be intercepted. Fork and exit use locks and
    /// lists in them. They hold little data of the program.
    [[nodiscard]] static bool serves(const void* caller) noexcept {
        return get() != nullptr && this_thread.inside == 0 && !neighbours_.libc.contains(caller) &&
               !neighbours_.self.contains(caller) && !neighbours_.loader.contains(caller);
    }

    [[nodiscard]] static bool owns(const void* address) noexcept {
        const heap::Heap* const heap = get();
        return heap != nullptr && heap->owns(address);
    }

    /// Returns the retired heap if it contains the block, else null. The program can use and resize such a block; to
    /// free it has no effect.
    [[nodiscard]] static const heap::Heap* retired_owner(const void* block) noexcept {
        const heap::Heap* const heap = retired_.load(std::memory_order_acquire);
        return heap != nullptr && heap->owns(block) ? heap : nullptr;
    }

    /// Makes the heap, which serves no allocation before `open`. Throws std::system_error.
    static heap::Heap& make(const run::Settings& settings);
    static void open(heap::Heap& heap) noexcept { heap_.store(&heap, std::memory_order_release); }

    /// In a child of fork whose memory is not managed any more: the heap serves no allocation from now on.
    static void retire() noexcept { retired_.store(heap_.exchange(nullptr)); }

    /// Finds the code of the libraries above. Call before `open`.
    static void find_neighbours() noexcept;
    [[nodiscard]] static const Neighbours& neighbours() noexcept { return neighbours_; }

private:
    static inline constinit std::atomic<heap::Heap*> heap_{nullptr};
    static inline constinit std::atomic<heap::Heap*> retired_{nullptr};
    static inline constinit Neighbours neighbours_{};
};

}  // namespace faultline::preload
