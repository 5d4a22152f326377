// BufferSet: buffers of one size that threads share, one thread at a time each. A buffer has no memory before a thread
// takes it first, and counts from then on. The owner decides what is in a buffer. Reads of pages, compression, spilling
// and writing use one set each.
#pragma once

#include "core/record_memory.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "sys/mapping.hpp"
#include "sys/slot_pool.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace faultline::sys {

/// Thread-safe and signal-safe, except construction and destruction. The first buffer counts from the start, so that
/// one always exists. Others are added when all are held, and only if RecordMemory has memory for them.
class BufferSet {
public:
    static constexpr unsigned kNone = SlotPool::kNone;

    struct Shape {
        unsigned buffers;    ///< At most: 1 to SlotPool::kMost.
        std::size_t bytes;   ///< Of each, rounded up to 4 KiB.
        unsigned first = 1;  ///< Buffers that count from the start: 0 if threads never wait for one.
    };

    /// `purpose` names the memory in error messages. `records`: counts the buffers that were taken; may be null. Throws
    /// std::system_error (ENOMEM).
    BufferSet(Shape shape, const char* purpose, core::RecordMemory* records, bool shared_with_children = true)
        : buffers_{shape.buffers},
          first_{shape.first},
          stride_{core::align_up(shape.bytes, core::kUnitBytes)},
          memory_{Mapping::reserve(buffers_ * stride_, core::kUnitBytes, shared_with_children, purpose)},
          charge_{records},
          slots_{first_} {
        charge_.add(units() * first_);
    }
    ~BufferSet() { forget(); }
    BufferSet(const BufferSet&) = delete;
    BufferSet& operator=(const BufferSet&) = delete;

    /// Takes the lowest free buffer, whose memory was probably used last. Returns kNone if all are held, and there is
    /// no memory for another.
    [[nodiscard]] unsigned try_take() FAULTLINE_SIGNAL_SAFE {
        for (;;) {
            const unsigned index = slots_.try_take();
            if (index != kNone || !add_buffer()) return index;
        }
    }
    /// Takes a buffer; blocks while there is none.
    [[nodiscard]] unsigned take() FAULTLINE_SIGNAL_SAFE {
        const unsigned index = try_take();
        return index != kNone ? index : slots_.take();
    }
    void give_back(unsigned index) FAULTLINE_SIGNAL_SAFE { slots_.give_back(index); }

    [[nodiscard]] std::span<std::byte> bytes_of(unsigned index) const FAULTLINE_SIGNAL_SAFE {
        return memory_.bytes().subspan(index * stride_, stride_);
    }

    /// Counts the buffers no more: a child of fork does not have the memory. No thread uses the set afterwards.
    void forget() noexcept {
        charge_.drop_buffers(units() * (slots_.slots() - std::exchange(first_, slots_.slots())));
        charge_.set(0);
    }

    /// Which buffers are held.
    [[nodiscard]] SlotPool& slots() noexcept { return slots_; }
    [[nodiscard]] const SlotPool& slots() const noexcept { return slots_; }

private:
    [[nodiscard]] std::int64_t units() const noexcept { return static_cast<std::int64_t>(stride_ / core::kUnitBytes); }

    /// Returns true if there is one more buffer, of this thread or another.
    [[nodiscard]] bool add_buffer() FAULTLINE_SIGNAL_SAFE {
        const unsigned present = slots_.slots();
        if (present == buffers_ || !charge_.add_buffer(units())) return false;
        if (!slots_.add_slot(present)) charge_.remove_buffer(units());
        return true;
    }

    unsigned buffers_;
    unsigned first_;
    std::size_t stride_;
    Mapping memory_;
    core::RecordCharge charge_;
    SlotPool slots_;
};

}  // namespace faultline::sys
