// BufferPool: the private buffers that store reads fill before a page is mapped. All threads share them, so that a
// fault needs neither malloc nor thread-local storage. PageFill and AsyncReader use it.
#pragma once

#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "sys/mapping.hpp"
#include "sys/slot_pool.hpp"

#include <cstddef>
#include <span>

namespace faultline::pager {

/// Thread-safe and signal-safe.
class BufferPool {
public:
    static constexpr std::size_t kBufferBytes = std::size_t{64} << 10;  // of one buffer
    static constexpr unsigned kBuffers = 32;

    BufferPool() : memory_{sys::Mapping::reserve(kBuffers * kBufferBytes, core::kUnitBytes, true, "read buffers")} {}

    /// Holds one buffer; the constructor blocks while all are taken. The holder must wait for nothing but its own read.
    class Buffer {
    public:
        explicit Buffer(BufferPool& pool) FAULTLINE_SIGNAL_SAFE : pool_{pool}, index_{pool.slots_.take()} {}
        ~Buffer() { pool_.slots_.give_back(index_); }
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
    sys::Mapping memory_;
    sys::SlotPool slots_{kBuffers};
};

}  // namespace faultline::pager
