// BufferPool: the private buffers that store reads go to before a page is mapped. A few, taken and given back by
// compare-exchange, so that a fault needs neither malloc nor thread-local storage. Signal-safe.
#pragma once

#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "sys/futex.hpp"
#include "sys/mapping.hpp"

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::detail {

class BufferPool {
public:
    static constexpr std::size_t kBufferBytes = std::size_t{64} << 10;
    static constexpr std::size_t kBuffers = 32;

    BufferPool() : memory_{sys::Mapping::reserve(kBuffers * kBufferBytes, core::kUnitBytes, true, "read buffers")} {}

    /// Holds one buffer; waits for one when all are taken. The holder must not wait for anything but its own read.
    class Buffer {
    public:
        explicit Buffer(BufferPool& pool) FAULTLINE_SIGNAL_SAFE : pool_{pool}, index_{pool.take()} {}
        ~Buffer() { pool_.give_back(index_); }
        Buffer(const Buffer&) = delete;
        Buffer& operator=(const Buffer&) = delete;

        [[nodiscard]] std::span<std::byte> bytes() const noexcept {
            return {pool_.memory_.data() + index_ * kBufferBytes, kBufferBytes};
        }

    private:
        BufferPool& pool_;
        unsigned index_;
    };

private:
    static_assert(kBuffers == 32, "one bit each");

    [[nodiscard]] unsigned take() FAULTLINE_SIGNAL_SAFE {
        std::uint32_t taken = taken_.load(std::memory_order_relaxed);
        for (;;) {
            if (taken == ~std::uint32_t{0}) {
                waiters_.fetch_add(1);
                sys::futex_wait(taken_, taken);
                waiters_.fetch_sub(1);
                taken = taken_.load(std::memory_order_relaxed);
                continue;
            }
            const auto lowest_free = static_cast<unsigned>(std::countr_one(taken));  // the warmest one
            if (taken_.compare_exchange_weak(taken, taken | std::uint32_t{1} << lowest_free,
                                             std::memory_order_acquire)) {
                return lowest_free;
            }
        }
    }

    void give_back(unsigned index) FAULTLINE_SIGNAL_SAFE {
        taken_.fetch_and(~(std::uint32_t{1} << index));
        if (waiters_.load() > 0) sys::futex_wake(taken_, 1);
    }

    sys::Mapping memory_;
    std::atomic<std::uint32_t> taken_{0};
    std::atomic<std::uint32_t> waiters_{0};
};

}  // namespace faultline::detail
