// AccessHints: what the program has said of how it will go through a region, by blocks of 2 MiB. Costs nothing until it
// says something. It only remembers; what follows from it, PrefetchStreams and the pager decide.
#pragma once

#include "core/signal_safe.hpp"
#include "policy/prefetch_streams.hpp"
#include "sys/lazy_array.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace faultline::pager {

class AccessHints {
public:
    static constexpr unsigned kBlockShift = 21;

    /// Of `bytes` of a region, from `offset` on; whole blocks are meant. One call at a time. Throws std::system_error
    /// (ENOMEM), std::bad_alloc.
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

    /// Of a region of `region_bytes`, what `other` has of one as large. Throws as above.
    void copy(std::uint64_t region_bytes, const AccessHints& other) {
        if (other.blocks_.load(std::memory_order_acquire) == nullptr) return;
        for (std::uint64_t offset = 0; offset < region_bytes; offset += std::uint64_t{1} << kBlockShift) {
            const policy::AccessAdvice advice = other.at(offset);
            if (advice != policy::AccessAdvice::normal) set(region_bytes, offset, 1, advice);
        }
    }

    [[nodiscard]] policy::AccessAdvice at(std::uint64_t offset) const FAULTLINE_SIGNAL_SAFE {
        const Blocks* const blocks = blocks_.load(std::memory_order_acquire);
        if (blocks == nullptr) return policy::AccessAdvice::normal;
        return (*blocks)[offset >> kBlockShift].load(std::memory_order_relaxed);
    }

private:
    using Blocks = sys::LazyArray<std::atomic<policy::AccessAdvice>>;
    static_assert(policy::AccessAdvice{} == policy::AccessAdvice::normal, "what a fresh map says");

    std::unique_ptr<Blocks> owner_;
    std::atomic<const Blocks*> blocks_{nullptr};
};

}  // namespace faultline::pager
