// BufferPool: the private buffers that store reads fill before a page is mapped. All threads share them, so that a
// fault needs neither malloc nor thread-local storage. PageFill and AsyncReader use it.
#pragma once

#include "core/record_memory.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "sys/mapping.hpp"
#include "sys/slot_pool.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::pager {

/// Thread-safe and signal-safe.
class BufferPool {
public:
    static constexpr std::size_t kBufferBytes = std::size_t{64} << 10;  // of one buffer
    static constexpr unsigned kBuffers = 32;

    /// `records`: counts the buffers that were used; may be null. Throws std::system_error (ENOMEM).
    explicit BufferPool(core::RecordMemory* records = nullptr)
        : memory_{sys::Mapping::reserve(kBuffers * kBufferBytes, core::kUnitBytes, true, "read buffers")},
          charge_{records} {}

    /// Holds one buffer; the constructor blocks while all are taken. The holder must wait for nothing but its own read.
    class Buffer {
    public:
        explicit Buffer(BufferPool& pool) FAULTLINE_SIGNAL_SAFE : pool_{pool}, index_{pool.slots_.take()} {
            pool_.count(index_);
        }
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
    /// Counts a buffer that is used for the first time.
    void count(unsigned index) FAULTLINE_SIGNAL_SAFE {
        const std::uint32_t bit = std::uint32_t{1} << index;
        if ((used_.load(std::memory_order_relaxed) & bit) != 0) return;
        if ((used_.fetch_or(bit, std::memory_order_relaxed) & bit) == 0) charge_.add(kBufferBytes / core::kUnitBytes);
    }

    static_assert(kBuffers <= 32);  // bits of used_

    sys::Mapping memory_;
    std::atomic<std::uint32_t> used_{0};  // a bit for each buffer
    core::RecordCharge charge_;
    sys::SlotPool slots_{kBuffers};
};

}  // namespace faultline::pager
