// What children of fork get of a MappingWindow.

#include "space/mapping_window.hpp"
#include "sys/syscall.hpp"

#include <sys/mman.h>

namespace faultline::space {

AddressRange MappingWindow::first_mapping(AddressRange range) const noexcept {
    const Segment* const segment = set_.find_from(range.begin);
    if (segment == nullptr || segment->range.begin >= range.end) return range;
    if (segment->range.begin <= range.begin) return segment->range.part_in(range);
    return {range.begin, segment->range.begin};
}

void MappingWindow::advise_fork(AddressRange range, int advice) {
    set_.split_at(range);
    set_.change_fork_rules(range, [advice](ForkRule& rule) {
        if (advice == MADV_DONTFORK || advice == MADV_DOFORK) rule.left_out = advice == MADV_DONTFORK;
        if (advice == MADV_WIPEONFORK || advice == MADV_KEEPONFORK) rule.wiped = advice == MADV_WIPEONFORK;
    });
    set_.merge(range);
}

std::vector<std::pair<AddressRange, ForkRule>> MappingWindow::fork_rules() const {
    std::vector<std::pair<AddressRange, ForkRule>> all;
    set_.for_each([&](const Segment& segment) {
        const Origin& origin = segment.origin;
        if (origin.keeper != Keeper::kernel && origin.fork != ForkRule{}) all.emplace_back(segment.range, origin.fork);
    });
    return all;
}

/// Sets the rule of new segments in a range; tells it the kernel, too, if that has mapped them. The kernel refuses that
/// at the limit of mappings only: its mapping then has no rule.
void MappingWindow::set_fork_rule(AddressRange range, ForkRule rule) {
    set_.change_fork_rules(range, [rule](ForkRule& of_segment) { of_segment = rule; });
    if (set_.find_from(range.begin)->origin.keeper == Keeper::pager) return;
    const auto advise = [range](int advice) {
        static_cast<void>(sys::raw_syscall(SYS_madvise, range.begin, range.bytes(), advice));
    };
    if (rule.wiped) advise(MADV_WIPEONFORK);
    if (rule.left_out) advise(MADV_DONTFORK);
}

}  // namespace faultline::space
