// RegionUsers: counts what uses the addresses of a region: its owner, Pins, and system calls of faultline::io. An owner
// that goes earlier leaves itself to the last user, so that no user ever sees the region destroyed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace faultline::pager {

/// Any thread; not from a signal handler, because the last user destroys the region.
class RegionUsers {
public:
    /// Adds a user. Returns false, and adds none, if the last user has gone: the region is about to be destroyed.
    [[nodiscard]] bool add() noexcept {
        std::uint32_t count = count_.load(std::memory_order_relaxed);
        do {
            if (count == 0) return false;
        } while (!count_.compare_exchange_weak(count, count + 1, std::memory_order_relaxed));
        return true;
    }

    /// Removes a user. Returns the owner to the last one, which destroys the region by releasing it; else null. The
    /// caller must not be a reader of RegionMap::readers() when it releases the owner.
    [[nodiscard]] std::shared_ptr<void> remove() noexcept {
        return count_.fetch_sub(1, std::memory_order_acq_rel) == 1 ? std::move(owner_) : nullptr;
    }

    /// Removes the owner as a user. `owner` destroys the region in its destructor: now, or when the last user goes.
    void leave(std::shared_ptr<void> owner) noexcept {
        owner_ = std::move(owner);
        const std::shared_ptr<void> last = remove();
    }

private:
    std::atomic<std::uint32_t> count_{1};  // orders owner_: release by each user that goes, acquire by the last
    std::shared_ptr<void> owner_;          // null until the owner leaves
};

}  // namespace faultline::pager
