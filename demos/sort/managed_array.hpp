// ManagedArray: a growing array in a region of its own. Its capacity is only address space: pages take memory as the
// array grows, and all of them may be swapped out. It never moves its items.
#pragma once

#include <faultline/pager.hpp>
#include <faultline/region.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace faultline::demo::sort {

/// Used by one thread.
template <typename T>
class ManagedArray {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

public:
    ManagedArray(Pager& pager, RegionOptions options, std::size_t capacity)
        : region_{pager.reserve(std::max<std::size_t>(capacity, 1) * sizeof(T), options)},
          items_{reinterpret_cast<T*>(region_.data())},
          capacity_{capacity} {}

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] bool full() const noexcept { return size_ == capacity_; }
    [[nodiscard]] T* begin() noexcept { return items_; }
    [[nodiscard]] T* end() noexcept { return items_ + size_; }
    [[nodiscard]] T& operator[](std::size_t index) noexcept { return items_[index]; }
    [[nodiscard]] const T& operator[](std::size_t index) const noexcept { return items_[index]; }

    void push_back(const T& item) {
        if (full()) throw std::length_error("an array is larger than the address range reserved for it");
        std::construct_at(items_ + size_, item);
        ++size_;
    }

    /// Removes all items. A large array is discarded from memory and swap, so that no dead page is written. A few pages
    /// are kept, because they will be used again soon.
    void clear() {
        constexpr std::size_t kWorthDiscarding = std::size_t{64} << 10;
        const std::size_t page = region_.page_size();
        const std::size_t used = (size_ * sizeof(T) + page - 1) / page * page;
        if (used > kWorthDiscarding) region_.discard(region_.data(), used);
        size_ = 0;
    }

    void swap(ManagedArray& other) noexcept {
        std::swap(region_, other.region_);
        std::swap(items_, other.items_);
        std::swap(capacity_, other.capacity_);
        std::swap(size_, other.size_);
    }

private:
    Region region_;
    T* items_;
    std::size_t capacity_;
    std::size_t size_ = 0;
};

}  // namespace faultline::demo::sort
