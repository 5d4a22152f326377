// AccessHints: stores the access pattern that the program advised (normal, sequential, random) for each 2 MiB block of
// a region. It takes no memory before the first advice. It only stores: PrefetchStreams and ReadAhead act on the
// advice.
#pragma once

#include "core/signal_safe.hpp"
#include "policy/prefetch_streams.hpp"
#include "sys/lazy_array.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace faultline::pager {

/// Any thread may read at any time; one thread at a time writes. Loads of the map acquire, its publication releases.
class AccessHints {
public:
    static constexpr unsigned kBlockShift = 21;

    /// Sets the advice for every block that the `bytes` bytes from `offset` on touch. The caller serialises. Throws
    /// std::system_error (ENOMEM), std::bad_alloc.
    void set(std::uint64_t region_bytes, std::uint64_t offset, std::uint64_t bytes, policy::AccessAdvice advice) {
        if (bytes == 0) return;
        if (!owner_) {
            owner_ = std::make_unique<Blocks>((region_bytes >> kBlockShift) + 1, "a map of advice");
            blocks_.store(owner_.get(), std::memory_order_release);
        }
        for (std::uint64_t block = offset >> kBlockShift; block <= (offset + bytes - 1) >> kBlockShift; ++block) {
            (*owner_)[block].store(advice, std::memory_order_relaxed);
        }
    }

    /// Copies the advice of `other`, which belongs to a region of the same size. Throws as `set` does.
    void copy(std::uint64_t region_bytes, const AccessHints& other) {
        if (other.blocks_.load(std::memory_order_acquire) == nullptr) return;
        for (std::uint64_t offset = 0; offset < region_bytes; offset += std::uint64_t{1} << kBlockShift) {
            const policy::AccessAdvice advice = other.at(offset);
            if (advice != policy::AccessAdvice::normal) set(region_bytes, offset, 1, advice);
        }
    }

    /// Returns the advice for the block at `offset`. Signal-safe.
    [[nodiscard]] policy::AccessAdvice at(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
        const Blocks* const blocks = blocks_.load(std::memory_order_acquire);
        if (blocks == nullptr) return policy::AccessAdvice::normal;
        return (*blocks)[offset >> kBlockShift].load(std::memory_order_relaxed);
    }

private:
    using Blocks = sys::LazyArray<std::atomic<policy::AccessAdvice>>;
    static_assert(policy::AccessAdvice{} == policy::AccessAdvice::normal, "a zero-filled map must mean normal");

    std::unique_ptr<Blocks> owner_;               // owns the map
    std::atomic<const Blocks*> blocks_{nullptr};  // publishes it; null before the first advice
};

}  // namespace faultline::pager
