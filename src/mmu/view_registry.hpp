// ViewRegistry: publishes the list of the views of a pager's shared regions. The fault path reads the list without a
// lock; control calls replace it. It changes no mapping. The caller maps a view before it adds the view, and removes
// the view before it unmaps it.
#pragma once

#include "core/signal_safe.hpp"
#include "mmu/shared_views.hpp"
#include "sys/published.hpp"
#include "sys/quiescence.hpp"

#include <mutex>
#include <vector>

namespace faultline::mmu {

/// Control calls throw std::bad_alloc; then the list is unchanged. They return when no reader holds the old list, so
/// the caller must not be a reader.
class ViewRegistry {
public:
    explicit ViewRegistry(sys::Quiescence& readers) noexcept : list_{readers} {}

    /// Returns the list, or null if the pager has no view. The caller is a reader. Signal-safe.
    [[nodiscard]] const SharedViews* views() const FAULTLINE_SIGNAL_SAFE { return list_.get(); }

    /// See SharedViews::for_each_of. The caller is a reader. Signal-safe.
    template <typename Visit>
    void for_each_of(std::uintptr_t source, std::size_t bytes, Visit visit) const FAULTLINE_SIGNAL_SAFE {
        if (const SharedViews* const list = views()) list->for_each_of(source, bytes, visit);
    }

    void add(const std::vector<SharedView>& views);
    /// Removes the parts of views that lie in `span`, and returns them.
    std::vector<SharedView> remove(core::AddressRange span);
    /// Changes the access of the parts of views that lie in `span`, and returns them.
    std::vector<SharedView> set_access(core::AddressRange span, Access access);

    /// Returns a copy of all views.
    [[nodiscard]] std::vector<SharedView> all() const;

    /// Calls `visit(list)` while no other thread changes the list; `list` may be null.
    template <typename Visit>
    void read(Visit visit) const {
        const std::lock_guard lock{changing_};
        visit(list_.get());
    }

    // Held across fork, so that the list does not change meanwhile.
    void lock() { changing_.lock(); }
    void unlock() noexcept { changing_.unlock(); }

private:
    template <typename Edit>
    void change(Edit edit);

    mutable std::mutex changing_;  // serialises changes; no other lock is taken while it is held
    sys::Published<SharedViews> list_;
};

}  // namespace faultline::mmu
