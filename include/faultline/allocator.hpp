// allocator<T>: puts the elements of a standard container into a Heap. One pointer, no ownership: the heap must live as
// long as the containers. For containers of std::pmr, `Heap::resource` does the same.
#pragma once

#include <faultline/language.hpp>

#include <faultline/heap.hpp>

#include <cstddef>
#include <limits>
#include <new>
#include <type_traits>

namespace faultline {

/// Two are equal when they are of the same heap. It goes along when a container is moved or swapped, so that elements
/// need not be; a copy of a container is in the same heap.
template <typename T>
class allocator {
public:
    using value_type = T;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;
    using is_always_equal = std::false_type;

    /// Not explicit: `std::vector<int, faultline::allocator<int>> numbers{heap};`
    allocator(const Heap& heap) noexcept : heap_{heap.heap_} {}
    template <typename U>
    allocator(const allocator<U>& other) noexcept : heap_{other.heap_} {}

    /// Throws std::bad_array_new_length, std::bad_alloc.
    [[nodiscard]] T* allocate(std::size_t count) {
        if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_array_new_length{};
        return static_cast<T*>(heap::heap_allocate(heap_, count * sizeof(T), alignof(T)));
    }
    void deallocate(T* elements, std::size_t count) noexcept {
        heap::heap_deallocate(heap_, elements, count * sizeof(T));
    }

    template <typename U>
    friend bool operator==(const allocator& left, const allocator<U>& right) noexcept {
        return left.heap_ == allocator{right}.heap_;
    }

private:
    template <typename U>
    friend class allocator;

    heap::Heap* heap_;
};

}  // namespace faultline
