// Pin: keeps a range resident and unevictable while the object lives, which is what system calls, O_DIRECT, io_uring
// and devices need of a buffer. It is not a lock on the contents: other threads read and write as before.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace faultline {

namespace pager {
class Region;
}

/// Made by `pin` of `Region`, `AddressSpace` and `Heap`; move-only; must not outlive its region. Unpins when destroyed.
/// Safe on any thread, not in a signal handler.
class FAULTLINE_API Pin {
public:
    Pin() noexcept = default;
    Pin(Pin&& other) noexcept
        : region_{std::exchange(other.region_, nullptr)},
          first_{other.first_},
          count_{std::exchange(other.count_, 0)} {}
    Pin& operator=(Pin&& other) noexcept {
        if (this != &other) {
            release();
            region_ = std::exchange(other.region_, nullptr);
            first_ = other.first_;
            count_ = std::exchange(other.count_, 0);
        }
        return *this;
    }
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;
    ~Pin() { release(); }

    /// Unpins now. Does nothing on an empty pin.
    void release() noexcept;

    /// Whether anything is pinned.
    explicit operator bool() const noexcept { return region_ != nullptr; }

private:
    friend class AddressSpace;
    friend class Heap;
    friend class Region;
    Pin(pager::Region* region, std::uint64_t first, std::uint64_t count) noexcept
        : region_{region}, first_{first}, count_{count} {}

    pager::Region* region_ = nullptr;
    std::uint64_t first_ = 0;  // page index in the region
    std::uint64_t count_ = 0;  // pages
};

}  // namespace faultline
