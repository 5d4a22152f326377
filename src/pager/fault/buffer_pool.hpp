// BufferPool: the private buffers that store reads fill before a page is mapped. All threads share them, so that a
// fault needs neither malloc nor thread-local storage. PageFill and AsyncReader use it.
#pragma once

#include "core/record_memory.hpp"
#include "core/signal_safe.hpp"
#include "sys/buffer_set.hpp"

#include <cstddef>
#include <span>

namespace faultline::pager {

/// Thread-safe and signal-safe.
class BufferPool {
public:
    static constexpr std::size_t kBufferBytes = std::size_t{64} << 10;  // of one buffer
    static constexpr unsigned kBuffers = 32;

    /// `records`: see sys::BufferSet. Throws std::system_error (ENOMEM).
    explicit BufferPool(core::RecordMemory* records = nullptr)
        : buffers_{{kBuffers, kBufferBytes}, "read buffers", records} {}

    /// Holds one buffer; the constructor blocks while all are taken. The holder must wait for nothing but its own read.
    class Buffer {
    public:
        explicit Buffer(BufferPool& pool) FAULTLINE_SIGNAL_SAFE : buffers_{pool.buffers_}, index_{buffers_.take()} {}
        ~Buffer() { buffers_.give_back(index_); }
        Buffer(const Buffer&) = delete;
        Buffer& operator=(const Buffer&) = delete;

        [[nodiscard]] std::span<std::byte> bytes() const noexcept { return buffers_.bytes_of(index_); }

    private:
        sys::BufferSet& buffers_;
        unsigned index_;
    };

private:
    sys::BufferSet buffers_;
};

}  // namespace faultline::pager
