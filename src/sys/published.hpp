// Published: one immutable value that the fault path reads without a lock and that control calls replace. `replace`
// frees the old value when no reader of `readers` can hold it any more. It does not serialise the callers of `replace`:
// the owner does.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/quiescence.hpp"

#include <atomic>
#include <memory>
#include <utility>

namespace faultline::sys {

template <typename T>
class Published {
public:
    /// `first` may be null. `readers` must outlive this object.
    explicit Published(Quiescence& readers, std::unique_ptr<const T> first = nullptr) noexcept
        : readers_{readers}, value_{first.release()} {}
    ~Published() { delete value_.load(); }
    Published(const Published&) = delete;
    Published& operator=(const Published&) = delete;

    /// Returns the value, or null. The caller is a reader of `readers`, or the thread that replaces. Signal-safe.
    [[nodiscard]] const T* get() const FAULTLINE_SIGNAL_SAFE { return value_.load(std::memory_order_acquire); }

    /// Returns the value, which must not be null. Otherwise like `get`.
    [[nodiscard]] const T& read() const FAULTLINE_SIGNAL_SAFE { return *get(); }

    /// Publishes `next` and returns when no reader holds the old value. The caller must not be a reader. Callers must
    /// be serialised.
    void replace(std::unique_ptr<const T> next) noexcept {
        const std::unique_ptr<const T> old{value_.exchange(next.release(), std::memory_order_acq_rel)};
        readers_.synchronize();
    }

private:
    Quiescence& readers_;
    std::atomic<const T*> value_;  // owned; acquire and release order the value's bytes
};

}  // namespace faultline::sys
