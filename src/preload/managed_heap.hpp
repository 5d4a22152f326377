// The one heap of a program that the preload is in, and which allocations are its. It is made once and never destroyed:
// programs allocate and free until their last instruction.
#pragma once

#include "heap/heap.hpp"
#include "preload/thread_state.hpp"
#include "run/settings.hpp"

#include <array>
#include <atomic>
#include <cstdint>

namespace faultline::preload {

/// Code of one loaded object. Empty before it is known.
struct CodeRange {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    [[nodiscard]] bool contains(const void* address) const noexcept {
        return core::address_of(address) - begin < end - begin;
    }
};

/// Code whose allocations are not managed: the C library's, the dynamic loader's, and this library's own.
struct Neighbours {
    CodeRange libc;
    CodeRange loader;
    CodeRange self;
};

class ManagedHeap {
public:
    /// Null until there is one.
    [[nodiscard]] static heap::Heap* get() noexcept { return heap_.load(std::memory_order_acquire); }

    /// Whether an allocation by the code at `caller` is managed. What the C library allocates is not: it has system
    /// calls that nobody can see use it, locks and lists that fork and exit go through, and no data of the program's to
    /// speak of.
    [[nodiscard]] static bool serves(const void* caller) noexcept {
        return get() != nullptr && this_thread.inside == 0 && !neighbours_.libc.contains(caller) &&
               !neighbours_.self.contains(caller) && !neighbours_.loader.contains(caller);
    }

    [[nodiscard]] static bool owns(const void* address) noexcept {
        const heap::Heap* const heap = get();
        return heap != nullptr && heap->owns(address);
    }

    /// Makes the heap, which serves nobody before `open`. Throws std::system_error.
    static heap::Heap& make(const run::Settings& settings);
    static void open(heap::Heap& heap) noexcept { heap_.store(&heap, std::memory_order_release); }

    /// Finds the code of the libraries above. Before `open`.
    static void find_neighbours() noexcept;
    [[nodiscard]] static const Neighbours& neighbours() noexcept { return neighbours_; }

private:
    static inline constinit std::atomic<heap::Heap*> heap_{nullptr};
    static inline constinit Neighbours neighbours_{};
};

}  // namespace faultline::preload
