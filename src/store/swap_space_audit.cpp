// Checks that the records of a SwapSpace agree. Builds with FAULTLINE_CHECKED check at each fork, when the last region
// is closed, before its slots are freed, and at the end; a disagreement ends the process.

#include "core/check.hpp"
#include "store/location_audit.hpp"
#include "store/swap_space.hpp"

#include <mutex>
#include <string>
#include <vector>

namespace faultline::store {
namespace {

#ifdef FAULTLINE_CHECKED
constexpr bool kChecked = true;
#else
constexpr bool kChecked = false;
#endif

void require_none(const std::vector<std::string>& problems) {
    if (problems.empty()) return;
    std::string text = "invariant broken: the records of swap slots do not agree:";
    for (const std::string& problem : problems) text += "\n    " + problem;
    core::fatal(text.c_str(), __FILE__, __LINE__);
}

}  // namespace

std::vector<std::string> SwapSpace::problems() {
    const std::lock_guard lock{mutex_};
    return problems_locked();
}

std::vector<std::string> SwapSpace::problems_locked() const {
    std::vector<std::string> all = space_.allocator().problems();
    LocationAudit audit{space_.table()};
    for (const SwapStore* const store : stores_) audit.add(*store);
    audit.check_pages();
    audit.check_other_slots();
    const std::vector<std::string> others = audit.problems();
    all.insert(all.end(), others.begin(), others.end());
    return all;
}

/// Call it while nothing uses the slots.
void SwapSpace::require_sound() const {
    if (kChecked) require_none(problems_locked());
}

/// Call it before a store frees its slots. Checks its users: no fault, eviction or other store changes them then. The
/// pager's threads may still spill blocks and give space back.
void SwapSpace::require_sound_if_last(const SwapStore& store) {
    if (kChecked) {
        const std::lock_guard lock{mutex_};
        if (stores_.size() > 1) return;
        LocationAudit audit{space_.table()};
        audit.add(store);
        audit.check_pages();
        require_none(audit.problems());
    }
}

}  // namespace faultline::store
