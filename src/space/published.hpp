// Published: one immutable value that the fault path reads without a lock and control calls replace. The old value goes
// when no reader of RegionTree::readers() can hold it any more.
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

    /// The caller is a reader, or the one that replaces. Never null.
    [[nodiscard]] const T& read() const FAULTLINE_SIGNAL_SAFE { return *value_.load(std::memory_order_acquire); }

    /// Returns when nobody reads the old value any more. The caller is no reader; callers are serialised.
    void replace(std::unique_ptr<const T> next) noexcept {
        const std::unique_ptr<const T> old{value_.exchange(next.release(), std::memory_order_acq_rel)};
        detail::RegionTree::readers().synchronize();
    }

private:
    std::atomic<const T*> value_;
};

}  // namespace faultline::space
