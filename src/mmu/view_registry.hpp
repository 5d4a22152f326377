// ViewRegistry: the list of a pager's shared regions and of the views that show their pages. The fault path reads it
// without a lock; control calls replace it. It changes no mapping: a view is mapped before it is listed, and taken off
// the list before it is unmapped.
#pragma once

#include "core/signal_safe.hpp"
#include "mmu/shared_views.hpp"
#include "sys/published.hpp"
#include "sys/quiescence.hpp"

#include <mutex>
#include <vector>

namespace faultline::mmu {

/// Control calls throw std::bad_alloc, and then the list is as it was. They return when no reader holds the old list,
/// so the caller is no reader.
class ViewRegistry {
public:
    explicit ViewRegistry(sys::Quiescence& readers) noexcept : list_{readers} {}

    /// The list; null when the pager has no shared region. The caller is a reader. Signal-safe.
    [[nodiscard]] const SharedViews* views() const FAULTLINE_SIGNAL_SAFE { return list_.get(); }

    void add_region(AddressSpan region);
    void remove_region(std::uintptr_t begin);

    void add(const std::vector<SharedView>& views);
    /// Removes the parts of views that lie in `span`, and returns them.
    std::vector<SharedView> remove(AddressSpan span);
    /// Changes the access of the parts of views that lie in `span`, and returns them.
    std::vector<SharedView> set_access(AddressSpan span, Access access);

    /// A copy of all views.
    [[nodiscard]] std::vector<SharedView> all() const;

    /// Calls `visit(list)`, which may be null, while no other thread changes the list.
    template <typename Visit>
    void read(Visit visit) const {
        const std::lock_guard lock{changing_};
        visit(list_.get());
    }

    // Around fork: the list does not change in between.
    void lock() { changing_.lock(); }
    void unlock() noexcept { changing_.unlock(); }

private:
    template <typename Edit>
    void change(Edit edit);

    mutable std::mutex changing_;  // serialises changes; no other lock is taken while it is held
    sys::Published<SharedViews> list_;
};

}  // namespace faultline::mmu
