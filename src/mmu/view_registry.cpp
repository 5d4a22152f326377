#include "mmu/view_registry.hpp"

#include <memory>
#include <utility>

namespace faultline::mmu {

/// Publishes a new list: a copy of the old one, changed by `edit(views)`.
template <typename Edit>
void ViewRegistry::change(Edit edit) {
    const std::lock_guard lock{changing_};
    std::vector<SharedView> views;
    if (const SharedViews* const before = list_.get()) views = before->views();
    edit(views);
    std::unique_ptr<const SharedViews> next;
    if (!views.empty()) next = std::make_unique<const SharedViews>(std::move(views));
    list_.replace(std::move(next));
}

void ViewRegistry::add(const std::vector<SharedView>& added) {
    change([&](auto& views) { views.insert(views.end(), added.begin(), added.end()); });
}

std::vector<SharedView> ViewRegistry::remove(core::AddressRange span) {
    std::vector<SharedView> removed;
    if (views() == nullptr) return removed;
    change([&](auto& views) { removed = cut_out(views, span.begin, span.end); });
    return removed;
}

std::vector<SharedView> ViewRegistry::set_access(core::AddressRange span, Access access) {
    std::vector<SharedView> changed;
    if (views() == nullptr) return changed;
    change([&](auto& views) {
        changed = cut_out(views, span.begin, span.end);
        for (SharedView& view : changed) view.access = access;
        views.insert(views.end(), changed.begin(), changed.end());
    });
    return changed;
}

std::vector<SharedView> ViewRegistry::all() const {
    const std::lock_guard lock{changing_};
    const SharedViews* const list = list_.get();
    return list == nullptr ? std::vector<SharedView>{} : list->views();
}

}  // namespace faultline::mmu
