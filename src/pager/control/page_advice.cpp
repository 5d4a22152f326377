#include "pager/control/page_advice.hpp"

#include "pager/region/fault_path_section.hpp"
#include "pager/region/range_pieces.hpp"
#include "sys/error.hpp"
#include "sys/page_merging.hpp"

#include <cerrno>
#include <optional>
#include <string>

namespace faultline::pager {

using core::PageRange;
using core::PageState;
using core::PageWord;

void PageAdvice::advise(Region& region, PageRange range, Advice advice) {
    core_.require_owner_process();
    switch (advice) {
        case Advice::willneed:
            return read_ahead_.prefetch_async(region, range);
        case Advice::dontneed:
            evict(region, range);
            return;
        case Advice::cold:
            return mark_cold(region, range);
        case Advice::normal:
            return set_access_pattern(region, range, policy::AccessAdvice::normal);
        case Advice::sequential:
            return set_access_pattern(region, range, policy::AccessAdvice::sequential);
        case Advice::random:
            return set_access_pattern(region, range, policy::AccessAdvice::random);
    }
    sys::throw_error(EINVAL, "unknown advice " + std::to_string(static_cast<int>(advice)));
}

Reclaimed PageAdvice::evict(Region& region, PageRange range) {
    core_.require_owner_process();
    sys::PageMerging::update_occasionally();
    store::SequentialWriteQueue queue;
    Reclaimed total;
    for_each_piece(range, [&](PageRange piece) {
        const FaultPathSection section;
        wait_until_unowned(region, piece);
        total += evictor_.evict(region, piece, queue);
    });
    return total;
}

void PageAdvice::mark_cold(Region& region, PageRange range) {
    core_.require_owner_process();
    for_each_piece(range, [&](PageRange piece) {
        const FaultPathSection section;
        region.table().for_each_touched(piece, [&](std::uint64_t page) {
            const PageWord word = region.load(page);
            if (word.is(PageState::resident)) core_.frames.demote(region.ref(page), word.payload());
        });
    });
}

void PageAdvice::set_access_pattern(Region& region, PageRange range, policy::AccessAdvice pattern) {
    core_.require_owner_process();
    const std::lock_guard lock{region.protecting()};
    region.access_hints().set(region.mapping().size(), region.offset_of(range.first), region.offset_of(range.count),
                              pattern);
}

void PageAdvice::retry(Region& region, PageRange range) {
    core_.require_owner_process();
    const FaultPathSection section;
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        // Waits first: the program may know of a failure that is not in the page's word yet.
        const auto was = region.wait_and_claim(page, [](PageWord word) {
            return word.is(PageState::poisoned) ? std::optional{word.claimed_for_fill()} : std::nullopt;
        });
        if (!was) return;
        unmap_page(region, page);  // removes the kernel's poison
        region.publish(page, [](PageWord word) { return word.fill_abandoned(home_of(word)); });
    });
}

}  // namespace faultline::pager
