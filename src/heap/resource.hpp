// Resource: a heap as a std::pmr::memory_resource, for containers of std::pmr. It is a member of heap::Heap, and
// equal only to itself. It throws std::bad_alloc where the heap returns null. Its functions are in
// src/api/cpp/heap_handles.cpp.
#pragma once

#include <cstddef>
#include <memory_resource>

namespace faultline::heap {

class Heap;

class Resource final : public std::pmr::memory_resource {
public:
    explicit Resource(heap::Heap& heap) noexcept : heap_{heap} {}

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override;
    void do_deallocate(void* block, std::size_t bytes, std::size_t alignment) override;
    [[nodiscard]] bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override {
        return this == &other;
    }

    heap::Heap& heap_;
};

}  // namespace faultline::heap
