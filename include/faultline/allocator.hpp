// allocator<T>: puts the elements of a standard container into a Heap. It holds one pointer and owns nothing: the heap
// must outlive the containers. It is not for std::pmr containers: use `Heap::resource`.
#pragma once

#include <faultline/language.hpp>

#include <faultline/heap.hpp>

#include <cstddef>
#include <limits>
#include <new>
#include <type_traits>

namespace faultline {
inline namespace v0 {

/// A standard allocator over a Heap. Two are equal if they use the same heap. It propagates when a container is moved
/// or swapped, so that no element is copied; a copy of a container uses the same heap. As thread-safe as the heap.
///
///     std::vector<int, faultline::allocator<int>> numbers{heap};
template <typename T>
class allocator {
public:
    using value_type = T;                                           ///< The type of the elements.
    using propagate_on_container_move_assignment = std::true_type;  ///< A moved container keeps its heap.
    using propagate_on_container_swap = std::true_type;             ///< Swapped containers swap their heaps.
    using is_always_equal = std::false_type;                        ///< Allocators of different heaps differ.

    /// Makes an allocator over `heap`. Implicit, so that a container can be constructed from a heap.
    allocator(const Heap& heap) noexcept : heap_{heap.heap_} {}
    /// Makes an allocator for another element type over the same heap.
    template <typename U>
    allocator(const allocator<U>& other) noexcept : heap_{other.heap_} {}

    /// Allocates room for `count` elements. Throws std::bad_array_new_length, std::bad_alloc.
    [[nodiscard]] T* allocate(std::size_t count) {
        if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_array_new_length{};
        return static_cast<T*>(Heap::allocate_in(*heap_, count * sizeof(T), alignof(T)));
    }
    /// Frees `elements`, which `allocate(count)` returned.
    void deallocate(T* elements, std::size_t count) noexcept {
        Heap::deallocate_in(*heap_, elements, count * sizeof(T));
    }

    /// True if both use the same heap.
    template <typename U>
    friend bool operator==(const allocator& left, const allocator<U>& right) noexcept {
        return left.heap_ == allocator{right}.heap_;
    }

private:
    template <typename U>
    friend class allocator;

    heap::Heap* heap_;
};

}  // namespace v0
}  // namespace faultline
