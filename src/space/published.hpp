// Published: a pointer to an immutable value that the fault path reads without a lock and control calls replace (RCU).
// An old value is deleted after every reader of RegionTree::readers() that may hold it has finished. Space publishes
// its segment index and its violation handler this way. Memory order: `replace` releases, `read` acquires.
#pragma once

#include "core/signal_safe.hpp"
#include "pager/region_tree.hpp"

#include <atomic>
#include <memory>
#include <utility>

namespace faultline::space {

template <typename T>
class Published {
public:
    explicit Published(std::unique_ptr<const T> first) noexcept : value_{first.release()} {}
    ~Published() { delete value_.load(); }
    Published(const Published&) = delete;
    Published& operator=(const Published&) = delete;

    /// Returns the present value. The caller is inside a RegionTree reader section, or is the thread that replaces.
    [[nodiscard]] const T& read() const FAULTLINE_SIGNAL_SAFE { return *value_.load(std::memory_order_acquire); }

    /// Replaces the value, waits until no reader holds the old one, and deletes it. Callers are serialised. Not from
    /// inside a reader section: it would wait for itself.
    void replace(std::unique_ptr<const T> next) noexcept {
        const std::unique_ptr<const T> old{value_.exchange(next.release(), std::memory_order_acq_rel)};
        detail::RegionTree::readers().synchronize();
    }

private:
    std::atomic<const T*> value_;
};

}  // namespace faultline::space
