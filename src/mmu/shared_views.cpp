#include "mmu/shared_views.hpp"

#include <algorithm>
#include <utility>

namespace faultline::mmu {

SharedView SharedView::part(std::uintptr_t begin, std::uintptr_t end) const noexcept {
    const core::AddressRange kept{std::max(begin, range.begin), std::min(end, range.end)};
    return {kept, source_of(kept.begin), access};
}

std::vector<SharedView> cut_out(std::vector<SharedView>& views, std::uintptr_t begin, std::uintptr_t end) {
    std::vector<SharedView> taken;
    std::vector<SharedView> kept;
    for (const SharedView& view : views) {
        if (view.range.end <= begin || view.range.begin >= end) {
            kept.push_back(view);
            continue;
        }
        taken.push_back(view.part(begin, end));
        if (view.range.begin < begin) kept.push_back(view.part(view.range.begin, begin));
        if (view.range.end > end) kept.push_back(view.part(end, view.range.end));
    }
    views = std::move(kept);
    return taken;
}

std::vector<core::AddressRange> seen_only_in(const SharedView& view, const std::vector<SharedView>& others) {
    std::vector<core::AddressRange> seen;
    for (const SharedView& other : others) {
        if (other.source < view.source_end() && other.source_end() > view.source) {
            seen.push_back({other.source, other.source_end()});
        }
    }
    std::sort(seen.begin(), seen.end(), [](const auto& left, const auto& right) { return left.begin < right.begin; });
    std::vector<core::AddressRange> alone;
    std::uintptr_t next = view.source;
    for (const core::AddressRange& span : seen) {
        if (span.begin > next) alone.push_back({next, span.begin});
        next = std::max(next, span.end);
    }
    if (next < view.source_end()) alone.push_back({next, view.source_end()});
    return alone;
}

SharedViews::SharedViews(std::vector<SharedView> views) : views_{std::move(views)} {
    std::sort(views_.begin(), views_.end(),
              [](const auto& left, const auto& right) { return left.range.begin < right.range.begin; });
    by_source_ = views_;
    std::sort(by_source_.begin(), by_source_.end(),
              [](const auto& left, const auto& right) { return left.source < right.source; });
    reached_by_.reserve(by_source_.size());
    std::uintptr_t reached = 0;
    for (const SharedView& view : by_source_) reached_by_.push_back(reached = std::max(reached, view.source_end()));
}

const SharedView* SharedViews::from(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE {
    const auto found =
        std::upper_bound(views_.begin(), views_.end(), address,
                         [](std::uintptr_t wanted, const SharedView& view) { return wanted < view.range.end; });
    return found == views_.end() ? nullptr : &*found;
}

const SharedView* SharedViews::at(std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE {
    const SharedView* const view = from(address);
    return view != nullptr && view->range.contains(address) ? view : nullptr;
}

std::size_t SharedViews::first_reaching(std::uintptr_t source) const FAULTLINE_SIGNAL_SAFE {
    return static_cast<std::size_t>(std::upper_bound(reached_by_.begin(), reached_by_.end(), source) -
                                    reached_by_.begin());
}

}  // namespace faultline::mmu
