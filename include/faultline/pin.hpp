// Pin: keeps a range resident while the object lives. System calls, O_DIRECT, io_uring and devices need that of their
// buffers. It is not a lock on the contents: other threads read and write as before. Programs get one from `pin` of
// Region, AddressSpace or Heap.
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

inline namespace v0 {

/// Keeps pages resident until it is destroyed. Made by `pin` of `Region`, `AddressSpace` and `Heap`; move-only. Any
/// thread may use it, but not in a signal handler; one thread at a time uses one object.
///
/// A pin may outlive the handle that it came from, and the pager's handle. The memory of that region, heap or address
/// space then stays mapped, its bytes stay, and the pager goes on answering its faults. The last pin frees all of it.
///
///     const faultline::Pin pin = region.pin(buffer, bytes, faultline::PinFor::writing);
///     const ssize_t got = ::read(descriptor, buffer, bytes);  // under every delivery
class FAULTLINE_API Pin {
public:
    /// Constructs an empty pin.
    Pin() noexcept = default;
    /// Takes over the pages of `other`, which is empty afterwards.
    Pin(Pin&& other) noexcept
        : region_{std::exchange(other.region_, nullptr)},
          first_{other.first_},
          count_{std::exchange(other.count_, 0)} {}
    /// Unpins the own pages, then takes over those of `other`.
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
    /// Unpins. Frees the memory if its handle is gone and this is its last pin.
    ~Pin() { release(); }

    /// Does what the destructor does, now; the pin is empty afterwards. Does nothing on an empty pin.
    void release() noexcept;

    /// True if the pin holds pages: it was not moved from, and not released.
    explicit operator bool() const noexcept { return region_ != nullptr; }

private:
    friend class AddressSpace;
    friend class Heap;
    friend class Region;
    /// Takes over the pins of pages that are pinned already, and becomes a user of the region.
    Pin(pager::Region& region, std::uint64_t first, std::uint64_t count) noexcept;

    pager::Region* region_ = nullptr;
    std::uint64_t first_ = 0;  // page index in the region
    std::uint64_t count_ = 0;  // pages
};

}  // namespace v0
}  // namespace faultline
